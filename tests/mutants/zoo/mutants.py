"""The catalogue of mutants: importing this module fills it."""

from .broken import adam_decay, adam_moments, conduct, layerwise, relatives, sgd_decay, sgd_momentum, signs
from .records import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant"]

FAMILIES = (adam_decay, adam_moments, conduct, layerwise, relatives, sgd_decay, sgd_momentum, signs)
