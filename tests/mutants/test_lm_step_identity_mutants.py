"""lm-step-identity refutes wrong weight decay and a late lr in every recipe, by far more than rounding."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from worlds import SteppingAs
from wrong_worlds import Decay, EveryOther, FirstTensorSpared, LateDecay, LateLR, OfRule, Wrong, WrongDecay

from ilr_check.claims.claim import Context
from ilr_check.claims.exact import lm_step_identity
from ilr_check.claims.exact.lm_step_identity import LAW, Recipe, RuleName, check
from ilr_check.claims.exact_law import REFUTED
from ilr_check.data import TextSpec
from ilr_check.evidence import Measured
from ilr_check.nets import TransformerSpec
from ilr_check.optim.composed import Composed, Part, composed
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.schedules import Constant, WarmUpCosine
from ilr_check.train.fleet import Fleet
from ilr_check.train.loop import Setting
from ilr_check.train.world import world_of

BETAS = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8}
HYPER: dict[RuleName, dict[str, float]] = {
    "adamw": BETAS,
    "muon": {},
    "lion": {"beta1": 0.9, "beta2": 0.99},
    "heavy-ball": {},
    "sgd": {},
}


def recipe(rule: RuleName) -> Recipe:
    return Recipe(
        rule=rule,
        setting=Setting(
            net=TransformerSpec(context=4, width=8, blocks=1, heads=1, mlp_width=8, placement="post"),
            data=TextSpec(context=4, limit=2**12, held_out=2**6),
            hyper=HyperParams(
                lr=0.01,
                weight_decay=0.1,
                momentum=0.9 if rule in ("muon", "heavy-ball") else 0.0,
                batch_size=2,
                steps=4,
            ),
            lr_schedule=WarmUpCosine(warm_up=3, floor=0.1),
            decay_schedule=Constant(),
        ),
    )


WRONG: tuple[Wrong, ...] = (
    Decay("decay 5 % too strong", 1.05),
    Decay("decay 5 % too weak", 0.95),
    FirstTensorSpared("no decay in the first tensor"),
    LateDecay("decay after the step"),
    EveryOther("decay doubled at every other step"),
    LateLR("lr late by a step"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
@pytest.mark.parametrize("rule", HYPER)
def test_a_wrong_world_is_refuted(rule: RuleName, wrong: Wrong) -> None:
    world = OfRule(wrong, rule, HYPER[rule]) if isinstance(wrong, WrongDecay) else wrong
    assert check(recipe(rule), world_of(world)).ratio > 1000 * REFUTED


@pytest.mark.parametrize("rule", HYPER)
def test_right_steps_pass_and_leave_no_rival(rule: RuleName) -> None:
    world = world_of(SteppingAs(MODELLED[rule], rule, **HYPER[rule]))
    for outcome in (check(recipe(rule)), check(recipe(rule), world)):
        assert outcome.steps == 3
        assert outcome.ratio < 0.5
        # A record cannot hold numbers of numpy.
        assert {type(x) for x in (outcome.ratio, *outcome.rivals.values())} == {float}
        assert set(outcome.rivals) == set(LAW.text.rivals)
        assert min(outcome.rivals.values()) > 1000 * REFUTED


class DecayingGains(Fleet):
    """Trains with a rule whose gains decay as matrices do."""

    def __init__(self, *args: Any, rule: Composed, **settings: Any) -> None:
        gains = Part(name="gains", rule=MODELLED["adamw"], tensors=("*.gain",), hyper={"beta2": 0.95})
        super().__init__(*args, rule=composed("adamw", gains, *rule.parts[1:], max_norm=1.0), **settings)


def test_a_decay_of_the_gains_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_step_identity, "Fleet", DecayingGains)
    outcome = check(recipe("adamw"))
    assert outcome.ratio > 1000 * REFUTED
    assert outcome.group.endswith(".gain")


def test_it_is_blind_to_the_direction_of_the_update_as_it_says() -> None:
    class Backwards:
        def gradient(self, name, gradient, weights, step):  # type: ignore[no-untyped-def]
            return -gradient

    assert check(recipe("adamw"), world_of(Backwards)).ratio < 1.0
    assert "direction" in LAW.text.blind


def test_a_world_about_another_rule_is_skipped() -> None:
    world = world_of(OfRule(WRONG[0], "lion", HYPER["lion"]))  # type: ignore[arg-type]
    subject = {"example": msgspec.to_builtins(recipe("adamw")), "title": "adamw"}
    (finding,) = LAW.claim().judge(subject, Context(seed=0, profile="quick", world=world)).findings
    assert finding.verdict == "skipped"
    assert "changes nothing" in finding.message
    assert finding.measured == Measured(value=0.0)
