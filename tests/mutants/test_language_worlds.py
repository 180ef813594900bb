"""What the statistical claims about language models see of wrong weight decay, on a model with one block.

A decay that is a few per cent wrong is inside their margins; lm-balance and lm-step-identity see it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch
from worlds import SteppingAs
from wrong_worlds import Decay, FirstTensorSpared, GainsFollowNorms, LateLR, OfRule, Wrong, WrongDecay

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.language_models import (
    lm_attention,
    lm_drop,
    lm_equilibrium,
    lm_no_decay,
    lm_tail,
    lm_time_scale,
)
from ilr_check.claims.language_models.trainings.every_step import GROUP
from ilr_check.data.text import text_spec
from ilr_check.nets import TransformerSpec
from ilr_check.train.world import world_of

pytestmark = pytest.mark.nightly

TINY = TransformerSpec(context=16, width=16, blocks=1, heads=1, mlp_width=16, placement="post")
BETAS = {"adamw": {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8}, "muon": {}, "sgd": {}}
DROP = lm_drop.drop("post", "muon")
LEVELS = lm_equilibrium.levels("post", "muon", far=False)
PAIR = lm_time_scale.pair("post", "adamw")
TAIL = lm_tail.tail("post", "muon", quick=True)
NO_DECAY = lm_no_decay.no_decay("post", "muon")


class DecayOfTheFirstLR(OfRule):
    """Weight decay does not follow lr: it is that of the lr with which the experiment begins."""

    def __init__(self, spec: Any) -> None:
        super().__init__(WrongDecay("decay does not follow lr"), spec.rule, BETAS[spec.rule])
        self.first = spec.lr

    def update(self, name, weights, gradient, buffer, lr, weight_decay, momentum, step):  # type: ignore[no-untyped-def]
        decay = weight_decay * self.first / lr
        return super().update(name, weights, gradient, buffer, lr, decay, momentum, step)


def judged(law: Any, spec: Any, wrong: Wrong | SteppingAs | None) -> list[Finding]:
    """Return what the law finds by its estimates; ``steps`` is what it finds by the steps."""
    return [finding for finding in findings(law, spec, wrong) if finding.group != GROUP]


def steps(law: Any, spec: Any, wrong: Wrong | SteppingAs | None) -> str:
    """Return the verdict on every step, where no estimate is violated."""
    verdicts = {finding.group: finding.verdict for finding in findings(law, spec, wrong)}
    found = verdicts.pop(GROUP)
    assert "violated" not in verdicts.values()
    return found


def findings(law: Any, spec: Any, wrong: Wrong | SteppingAs | None) -> list[Finding]:
    planted = OfRule(wrong, spec.rule, BETAS[spec.rule]) if isinstance(wrong, WrongDecay) else wrong
    small = msgspec.structs.replace(spec, net=TINY, data=text_spec(context=16))
    context = Context(
        seed=7, profile="quick", default_alpha=1e-4, world=None if planted is None else world_of(planted)
    )
    return list(law.judge(msgspec.to_builtins(small), context).findings)


@pytest.mark.parametrize(
    "wrong", [Decay("twice the decay", 2.0), DecayOfTheFirstLR(DROP)], ids=lambda wrong: wrong.name
)
def test_lm_drop_refutes(wrong: Any) -> None:
    assert {finding.verdict for finding in judged(lm_drop.LAW, DROP, wrong)} == {"violated"}


def test_lm_drop_sees_an_lr_that_is_late_by_a_step_by_its_steps_alone() -> None:
    assert steps(lm_drop.LAW, DROP, LateLR("late")) == "violated"


def test_lm_time_scale_refutes_a_decay_that_does_not_follow_lr() -> None:
    verdicts = {f.group: f.verdict for f in judged(lm_time_scale.LAW, PAIR, DecayOfTheFirstLR(PAIR))}
    assert verdicts[lm_time_scale.EACH["turns"]] == "violated"


def test_lm_equilibrium_refutes_twice_the_decay_by_its_sizes() -> None:
    found = judged(lm_equilibrium.LAW, LEVELS, Decay("twice the decay", 2.0))
    assert {f.verdict for f in found if f.group in lm_equilibrium.SIZE.values()} == {"violated"}


def test_lm_equilibrium_refutes_a_single_matrix_without_decay() -> None:
    found = judged(lm_equilibrium.LAW, LEVELS, FirstTensorSpared("no decay in the first tensor"))
    verdicts = {f.group: f.verdict for f in found}
    assert {verdicts[group] for group in lm_equilibrium.EACH.values()} == {"violated"}


class Uncorrected(DecayOfTheFirstLR):
    """Weight decay does not fall with lr where it should be corrected: it is that of the first step."""

    def update(self, name, weights, gradient, buffer, lr, weight_decay, momentum, step):  # type: ignore[no-untyped-def]
        first = torch.where(weight_decay > 0.0, TAIL.weight_decay, 0.0).to(lr)
        return OfRule.update(self, name, weights, gradient, buffer, lr, first, momentum, step)


@pytest.mark.parametrize(
    ("wrong", "refuted"),
    [
        (DecayOfTheFirstLR(TAIL), {lm_tail.NORMS}),
        (Uncorrected(TAIL), {lm_tail.NORMS}),
        (FirstTensorSpared("no decay in the first tensor"), {lm_tail.EACH}),
    ],
    ids=["decay does not follow lr", "decay is not corrected", "no decay in the first tensor"],
)
def test_lm_tail_refutes(wrong: Any, refuted: set[str]) -> None:
    found = judged(lm_tail.LAW, TAIL, wrong)
    assert {f.group for f in found if f.verdict == "violated"} >= refuted


def test_lm_tail_sees_an_lr_that_is_late_by_a_step_by_its_steps_alone() -> None:
    assert steps(lm_tail.LAW, TAIL, LateLR("late")) == "violated"
    assert "late by one step" in lm_tail.TEXT.blind


class DecayIsLeft(WrongDecay):
    """A part of the weight decay stays where it should be switched off."""

    def decay(self, weight_decay, name, step):  # type: ignore[no-untyped-def]
        return torch.where(weight_decay == 0.0, self.size * NO_DECAY.weight_decay, weight_decay)


class FirstTensorKeepsIts(DecayIsLeft):
    """The first tensor that should have weight decay keeps it where it should be switched off."""

    first = ""

    def decay(self, weight_decay, name, step):  # type: ignore[no-untyped-def]
        self.first = self.first or name
        return super().decay(weight_decay, name, step) if name == self.first else weight_decay


@pytest.mark.parametrize(
    ("wrong", "refuted"),
    [
        (DecayIsLeft("a fifth of the decay is left", 0.2), {lm_no_decay.CURVE}),
        (FirstTensorKeepsIts("the first tensor keeps its decay", 1.0), {lm_no_decay.EACH}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_lm_no_decay_refutes(wrong: Any, refuted: set[str]) -> None:
    found = judged(lm_no_decay.LAW, NO_DECAY, wrong)
    assert {f.group for f in found if f.verdict == "violated"} >= refuted


@pytest.mark.parametrize("rule", ["adamw", "muon"])
@pytest.mark.parametrize("size", [1.0, 0.4])
def test_lm_attention_refutes_a_temperature_that_follows_the_norms(rule: Any, size: float) -> None:
    spec = lm_attention.attention("post", rule)
    (found,) = judged(lm_attention.LAW, spec, GainsFollowNorms("gains follow norms", size))
    assert found.verdict == "violated", found.message


def test_lm_attention_holds_where_gains_do_not_follow_the_norms() -> None:
    spec = lm_attention.attention("post", "adamw")
    (found,) = judged(lm_attention.LAW, spec, GainsFollowNorms("gains are those of the rule", 0.0))
    assert found.verdict == "holds", found.message
