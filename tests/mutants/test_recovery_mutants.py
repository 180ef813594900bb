"""The claim about the recovery of an adaptive family refutes the update rule of another family."""

from dataclasses import replace

import pytest
from worlds import stepping_as

from ilr_check.claims.claim import Context
from ilr_check.claims.mean_field import adaptive_recovery
from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.rules import Rule
from ilr_check.train.world import World

pytestmark = [
    pytest.mark.on_push(
        "test_the_other_coupling_is_refuted[adam-adamw]",
    ),
    pytest.mark.usefixtures("compiled"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
FAMILIES = {"adamw": 0, "adam": 2}
BETAS = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-12}


def verdict(family: str, world: World | None = None) -> str:
    unit = adaptive_recovery.CLAIM.plan("quick", 0)[FAMILIES[family]]
    subject = {**unit.subject, "before": 600, "after": 600, "looks": (64,)}
    (finding,) = adaptive_recovery.CLAIM.judge(subject, replace(CONTEXT, world=world)).findings
    return finding.verdict


def decay_of_the_first_lr(name: str, lr: float) -> Rule:
    """Decay uses the initial lr, so that a schedule does not change it."""
    rule = MODELLED[name]

    def coefficients(columns):  # type: ignore[no-untyped-def]
        _, *others = rule.coefficients(columns)
        return (1 - lr * columns["weight_decay"], *others)

    return replace(rule, coefficients=coefficients)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_right_rule_is_not_violated(family: str) -> None:
    assert verdict(family) in ("holds", "inconclusive")


@pytest.mark.parametrize(("family", "other"), [("adamw", "adam"), ("adam", "adamw")])
def test_the_other_coupling_is_refuted(family: str, other: str) -> None:
    assert verdict(family, stepping_as(MODELLED[other], family, **BETAS)) == "violated"


def test_decay_that_a_schedule_does_not_reach_is_refuted() -> None:
    rule = decay_of_the_first_lr("adamw", 0.02)
    assert verdict("adamw", stepping_as(rule, "adamw", **BETAS)) == "violated"
