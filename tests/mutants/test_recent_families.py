"""Families of 2021 and later: found at the default settings, kept by a twin, and broken by each mutation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from zoo.broken import recent as broken
from zoo.broken import variances as broken_variances
from zoo.by_hand import adam, layerwise, recent, variances
from zoo.by_hand.base import Group, State
from zoo.correct import VARIANTS
from zoo.mutants import MUTANTS
from zoo.records import Factory

from ilr_check import check_optimizer
from ilr_check.gate.judge import judge as judge_law
from ilr_check.gate.laws import planned
from ilr_check.gate.subjects import subject_of

TWINS = {
    variant.contract: variant.factory
    for variant in VARIANTS.values()
    if variant.factory.__module__ in (recent.__name__, variances.__name__)
}
MODULES = (broken.__name__, broken_variances.__name__)
BROKEN = [name for name, entry in MUTANTS.items() if entry.factory.__module__ in MODULES]
LAWS = "decay-zero-gradient,gradient-degree,memory,eps-placement,textbook-step,tensor-shapes"


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_from_the_paper_is_found_and_keeps_its_contract(name: str) -> None:
    subject, note = subject_of(TWINS[name])
    assert subject.contract is not None, note
    assert subject.contract.name == name
    for law in planned(LAWS):
        findings, _ = judge_law(law, subject)
        assert not [f.diagnosis for f in findings if f.verdict in ("violated", "error")]


@pytest.mark.parametrize("name", BROKEN)
def test_a_slip_is_found(name: str) -> None:
    subject, _ = subject_of(MUTANTS[name].factory, contract=MUTANTS[name].contract)
    findings, _ = judge_law(planned("textbook-step")[0], subject)
    assert [f for f in findings if f.verdict == "violated"]


class ReleasedLAMB(layerwise.HandLAMB):
    """Two conventions of released packages: |w| counts as 10 at most, and only the step is corrected."""

    flaw = 1.0

    def move(self, p: Tensor, group: Group, state: State) -> None:
        first, _ = self.corrections(group, state)
        step = state["exp_avg"] / (state["exp_avg_sq"].sqrt() + group["eps"])
        step = step + group["weight_decay"] * p
        above, below = min(float(p.norm()), 10.0), float(step.norm())
        ratio = above / below if above > 0 and below > 0 else 1.0
        p.sub_(self.flaw * group["lr"] / first * ratio * step)


class ReleasedAdan(recent.HandAdan):
    """Two conventions of adan-pytorch: betas are shares of the new gradient, and the first one is kept."""

    def update(self, p: Tensor, g: Tensor, group: Group, state: State) -> None:
        super().update(p, g if state else torch.zeros_like(g), group, state)
        state["before"] = g.clone()

    def shares(self, group: Group) -> tuple[float, float, float]:
        first, second, third = group["betas"]
        return first, second, third


class ReleasedRAdam(adam.HandRAdam):
    """torch-optimi adds eps after the bias correction, and changes the gradient by its decay."""

    def decayed(self, p: Tensor, g: Tensor, group: Group, state: State) -> Tensor:
        if group["decoupled_weight_decay"]:
            return super().decayed(p, g, group, state)
        return g.add_(p, alpha=group["weight_decay"])

    def move(self, p: Tensor, group: Group, state: State) -> None:
        corrected = {**group, "eps": group["eps"] * math.sqrt(1 - group["betas"][1] ** float(state["step"]))}
        super().move(p, corrected, state)


def severities(factory: Factory, contract: str = "lamb", laws: str = "textbook-step,memory") -> set[str]:
    findings = check_optimizer(factory, contract=contract, laws=laws).findings
    return {f.severity for f in findings if f.verdict == "violated" and not f.group.startswith("corners")}


def test_several_conventions_at_once_are_departures() -> None:
    assert severities(ReleasedLAMB) == {"departure"}
    assert severities(ReleasedAdan, "adan", "textbook-step") == {"departure"}


def test_a_convention_settles_no_fragility_of_another_cause() -> None:
    assert severities(ReleasedRAdam, "radam", "textbook-step,layouts") == {"departure", "fragility"}


def test_a_defect_beside_several_conventions_is_a_defect() -> None:
    assert "defect" in severities(type("Wrong", (ReleasedLAMB,), {"flaw": 1.5}))


@pytest.mark.parametrize("name", ["AdamWCoupled", "SGDWCoupled"])
def test_a_name_that_promises_decoupled_decay_is_held_to_it(name: str) -> None:
    subject, note = subject_of(MUTANTS[name].factory)
    assert subject.contract is not None
    assert subject.contract.name == MUTANTS[name].contract, note


@pytest.mark.parametrize("name", ["MuonNesterovIgnored", "MuonThreeIterations", "AdEMAMixFastOnly"])
def test_an_option_that_changes_nothing_is_found_without_a_contract(name: str) -> None:
    found = check_optimizer(MUTANTS[name].factory, laws="settings").findings
    assert [f for f in found if f.verdict == "violated" and f.group.startswith("option")]


@pytest.mark.parametrize("name", ["HandMuon", "HandLion", "HandSignSGD", "HandSGD", "HandRAdam"])
def test_options_of_correct_optimizers_act(name: str) -> None:
    found = check_optimizer(VARIANTS[name].factory, laws="settings").findings
    assert not [f.diagnosis for f in found if f.verdict == "violated"]


def fourth_root(step: int) -> float:
    """Return the bound of ADOPT's authors."""
    return float(step**0.25)


class BoundInGroups(recent.HandADOPT):
    """It keeps a function in its groups, as the authors' code does: github iShohei220/adopt."""

    def __init__(self, params: Any, bound: Any, **options: Any):
        super().__init__(params, **options)
        for group in self.param_groups:
            group["bound"] = bound


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        (lambda step: step**0.25, "cannot be saved by torch.save"),
        (fourth_root, "unless weights_only=False"),
        (None, ""),
    ],
    ids=["a lambda", "a function of a module", "nothing"],
)
def test_a_state_that_torch_does_not_save_or_load_is_told(bound: Any, told: str) -> None:
    found = check_optimizer(BoundInGroups, laws="resume", args={"bound": bound}).findings
    assert not [f for f in found if f.verdict == "error"]
    wrong = [f for f in found if f.verdict == "violated"]
    assert all(told in f.diagnosis for f in wrong)
    assert bool(wrong) == bool(told)
