"""The zoo is as large as promised, and other evidence shows that its correct optimizers are correct."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from zoo.by_hand import adam, adaptive, layerwise, sgd
from zoo.correct import VARIANTS
from zoo.mutants import MUTANTS
from zoo.records import KINDS

SGD_OPTIONS = {"lr": 0.3, "weight_decay": 0.1, "momentum": 0.9}
MOMENT_OPTIONS = {"lr": 0.02, "weight_decay": 0.3, "eps": 1e-3}
TWINS: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "SGD": (sgd.HandSGD, torch.optim.SGD, SGD_OPTIONS | {"dampening": 0.2}),
    "SGD, Nesterov": (sgd.HandSGD, torch.optim.SGD, SGD_OPTIONS | {"nesterov": True}),
    "Adam": (adam.HandAdam, torch.optim.Adam, MOMENT_OPTIONS),
    "Adam, AMSGrad, ascent": (
        adam.HandAdam,
        torch.optim.Adam,
        MOMENT_OPTIONS | {"amsgrad": True, "maximize": True},
    ),
    "AdamW": (adam.HandAdamW, torch.optim.AdamW, MOMENT_OPTIONS),
    "Adamax": (adam.HandAdamax, torch.optim.Adamax, MOMENT_OPTIONS),
    "RAdam": (adam.HandRAdam, torch.optim.RAdam, MOMENT_OPTIONS),
    "RAdam, decoupled": (
        adam.HandRAdam,
        torch.optim.RAdam,
        MOMENT_OPTIONS | {"decoupled_weight_decay": True},
    ),
    "RMSprop, centred": (
        adaptive.HandRMSprop,
        torch.optim.RMSprop,
        MOMENT_OPTIONS | {"momentum": 0.9, "centered": True},
    ),
    "Adagrad": (
        adaptive.HandAdagrad,
        torch.optim.Adagrad,
        MOMENT_OPTIONS | {"lr_decay": 0.1, "initial_accumulator_value": 0.2},
    ),
    "Adadelta": (adaptive.HandAdadelta, torch.optim.Adadelta, MOMENT_OPTIONS),
    "Rprop": (adaptive.HandRprop, torch.optim.Rprop, {"lr": 0.02}),
    "Muon": (layerwise.HandMuon, torch.optim.Muon, {"lr": 0.02, "weight_decay": 0.3}),
}
STEPS = 8


def test_the_zoo_is_as_large_as_promised() -> None:
    assert len(MUTANTS) >= 60
    assert len(VARIANTS) >= 25


def test_every_kind_of_defect_has_several_mutants() -> None:
    assert min(Counter(m.kind for m in MUTANTS.values())[kind] for kind in KINDS) >= 3


def test_most_families_have_several_mutants() -> None:
    counted = Counter(m.contract for m in MUTANTS.values())
    assert min(counted.values()) >= 2
    assert len(counted) >= 16


@pytest.mark.parametrize("name", TWINS)
def test_a_rewrite_steps_as_torch_does(name: str) -> None:
    """Gradients are drawn and do not depend on the weights, so nothing amplifies a rounding along the way.

    Each step rounds every number that enters the sum at most sixteen times, here numbers below 8.
    """
    mine, theirs, options = TWINS[name]
    draw = torch.Generator().manual_seed(7)
    first = torch.nn.Parameter(torch.randn(5, 3, dtype=torch.float64, generator=draw))
    second = torch.nn.Parameter(first.detach().clone())
    start = first.detach().clone()
    ours, torchs = mine([first], **options), theirs([second], **options)
    for _ in range(STEPS):
        gradient = torch.randn(5, 3, dtype=torch.float64, generator=draw)
        first.grad, second.grad = gradient.clone(), gradient.clone()
        ours.step()
        torchs.step()
    bound = STEPS * 16 * 8 * 2.0**-53
    assert (first - start).detach().abs().min() > 1e6 * bound
    assert (first - second).detach().abs().max() <= bound
