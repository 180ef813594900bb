"""The statistical tier on correct optimizers: it has no more false alarms than its error budget promises."""

import pytest
import torch
from scipy.stats import binom

from ilr_check import check_optimizer

SEEDS = 50
CONTRACTS = {"SGD": "sgd", "AdamW": "adamw", "Adam": "adam", "RMSprop": "rmsprop"}
PROMISED = 1e-3
"""False alarms of one judgement of one optimizer."""
SURPRISE = 1e-6


def verdict(name: str, seed: int) -> str:
    """Return the findings of the law of equilibrium on a correct optimizer at this seed."""
    result = check_optimizer(
        getattr(torch.optim, name), contract=CONTRACTS[name], claims="equilibrium", seed=seed
    )
    return result.verdict


@pytest.mark.nightly
def test_alarms_keep_to_their_binomial_limit() -> None:
    told = [verdict(name, seed) for seed in range(SEEDS) for name in CONTRACTS]
    limit = int(binom.isf(SURPRISE, len(told), PROMISED))
    assert told.count("violated") <= limit
