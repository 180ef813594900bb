"""The exact tier has no false alarm on torch.optim with fifty seeds."""

from typing import Any

import pytest
import torch
from zoo.judging import DEAR, exact_laws
from zoo.trophies import TROPHIES

from ilr_check import check_optimizer

SEEDS = 50
CONTRACTS = {
    "SGD": "sgd",
    "Adam": "adam",
    "AdamW": "adamw",
    "NAdam": "nadam",
    "RAdam": "radam",
    "Adamax": "adamax",
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
    "Adafactor": "adafactor",
    "Rprop": "rprop",
    "ASGD": "asgd",
    "Muon": "muon",
}
EXCEPTIONS = {
    name: {law for trophy in TROPHIES if name in trophy.optimizers for law in trophy.laws}
    for name in CONTRACTS
}
"""Findings about torch itself, each with a witness in plain torch."""


def alarms(name: str, seed: int) -> list[str]:
    """Return what the gate reports against a correct optimizer at this seed."""
    factory: Any = getattr(torch.optim, name)
    cheap = ",".join(law for law in exact_laws() if law not in DEAR)
    result = check_optimizer(factory, contract=CONTRACTS[name], claims=cheap, seed=seed)
    wrong = [f for f in result.findings if f.verdict not in ("holds", "skipped")]
    return [f"{f.id}: {f.diagnosis}" for f in wrong if f.claim not in EXCEPTIONS[name]]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", CONTRACTS)
def test_no_exact_law_speaks_against_torch(name: str, seed: int) -> None:
    assert not alarms(name, seed)
