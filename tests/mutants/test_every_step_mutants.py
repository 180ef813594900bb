"""Claims about language models judge their own steps: wrong decay and a late lr are violations of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from wrong_worlds import Decay, FirstTensorSpared, LateLR, OfRule, WrongDecay

from ilr_check.claims import statistical_laws
from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.lab import Lab
from ilr_check.claims.language_models.trainings.every_step import every_step
from ilr_check.claims.language_models.trainings.hidden import HiddenRule, LanguageRuns, LanguageTraining
from ilr_check.data.text import text_spec
from ilr_check.nets import TransformerSpec
from ilr_check.train.world import world_of

BETAS: dict[HiddenRule, dict[str, float]] = {
    "adamw": {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8},
    "muon": {},
    "lion": {"beta1": 0.9, "beta2": 0.99},
    "sgd": {},
}
RATES: dict[HiddenRule, tuple[float, float]] = {
    "adamw": (0.03, 0.4),
    "muon": (0.05, 0.25),
    "lion": (0.006, 2.0),
    "sgd": (0.5, 0.05),
}
STEPS, RUNS = 12, 2
ALL = ("adamw", "muon", *(pytest.param(rule, marks=pytest.mark.nightly) for rule in ("lion", "sgd")))


def judged(rule: HiddenRule, wrong: Any = None, **populations: float) -> Finding:
    """Judge the steps of populations whose weight decay is multiplied by these numbers."""
    populations = populations or {"all": 1.0}
    lr, weight_decay = RATES[rule]
    spec = LanguageTraining(
        title="tiny",
        net=TransformerSpec(context=8, width=16, blocks=1, heads=1, mlp_width=16, placement="post"),
        data=text_spec(context=8),
        rule=rule,
        lr=lr,
        weight_decay=weight_decay,
        batch_size=2,
    )
    planted = OfRule(wrong, rule, BETAS[rule]) if isinstance(wrong, WrongDecay) else wrong
    world = None if planted is None else world_of(planted)
    runs = LanguageRuns(spec, Lab(Context(seed=1, profile="quick", world=world), STEPS))
    rates = lr * np.repeat([1.0, 0.5], STEPS // 2)
    scales = runs.at_equilibrium(lr, weight_decay)
    for name, left in populations.items():
        runs.settled(name, rates, np.full(STEPS, left * weight_decay), scales, record_every=1).take(RUNS)
    (found,) = every_step(spec, runs, {}, RUNS).findings
    return found


@pytest.mark.parametrize("rule", ALL)
def test_right_steps_hold_and_would_not_if_the_decay_were_wrong(rule: HiddenRule) -> None:
    found = judged(rule)
    assert (found.verdict, found.n_runs, found.n_steps) == ("holds", RUNS, STEPS)
    assert found.measured.value is not None
    assert found.measured.value < 0.2
    assert all(rival.excluded for rival in found.rivals)


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize(
    "wrong",
    [
        Decay("decay 5 % too strong", 1.05),
        Decay("decay 5 % too weak", 0.95),
        FirstTensorSpared("no decay in the first tensor"),
        LateLR("lr late by a step"),
    ],
    ids=lambda wrong: wrong.name,
)
def test_wrong_steps_are_violated(rule: HiddenRule, wrong: Any) -> None:
    found = judged(rule, wrong)
    assert found.verdict == "violated", found
    expected = {rival.name: rival.expected for rival in found.rivals}
    value = found.measured.value
    assert value is not None
    if "5 %" in wrong.name:  # The rival is the least that such a decay does in any matrix.
        assert value >= 0.9 * expected["weight decay 5 % too strong in one matrix"]


def test_a_population_whose_recorded_steps_have_no_decay_says_nothing_about_a_wrong_one() -> None:
    assert judged("muon", decayed=1.0, paused=0.0).verdict == "holds"
    assert judged("muon", paused=0.0).verdict == "inconclusive"


def test_every_claim_of_the_chapter_judges_its_steps() -> None:
    found = {name: law.closing for name, (law, *_) in statistical_laws().items() if name.startswith("lm-")}
    assert len(found) == 8
    for name, closing in found.items():
        assert "every_step" in (closing.__name__, *closing.__code__.co_names), name
