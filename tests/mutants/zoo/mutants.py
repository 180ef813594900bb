"""The catalogue of mutations: importing this module fills it."""

from .broken import (
    adam_decay,
    adam_moments,
    conduct,
    layerwise,
    lifetimes,
    listed,
    modes,
    narrow,
    recent,
    relatives,
    sgd_decay,
    sgd_momentum,
    signs,
    tensors,
    variances,
)
from .records import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant"]

FAMILIES = (
    adam_decay,
    adam_moments,
    conduct,
    layerwise,
    lifetimes,
    listed,
    modes,
    narrow,
    recent,
    relatives,
    sgd_decay,
    sgd_momentum,
    signs,
    tensors,
    variances,
)
