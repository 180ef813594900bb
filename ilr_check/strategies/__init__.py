"""Hypothesis strategies that return specs: printable, hashable and JSON, and never live modules.

They shrink to the smallest net, the simplest optimizer and the constant schedule. All bounds are keyword-only
and inclusive.
"""

from ilr_check.strategies.drawing import drawn
from ilr_check.strategies.nets import ACTIVATIONS, NORMS, net_specs
from ilr_check.strategies.training import batch_sizes, hyper_params, optimizers, schedules

__all__ = [
    "ACTIVATIONS",
    "NORMS",
    "batch_sizes",
    "drawn",
    "hyper_params",
    "net_specs",
    "optimizers",
    "schedules",
]
