"""A world that changes nothing in a training gives no verdict about it."""

from typing import Any

import pytest

from ilr_check.claims.claim import Context
from ilr_check.claims.findings import unreached
from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field import muon_equilibrium
from ilr_check.claims.settings.subjects import CLEAN
from ilr_check.train.world import world_of


class NoDecay:
    """SGD without weight decay."""

    def update(self, name: str, weights: Any, gradient: Any, buffer: Any, lr: Any, *others: Any) -> Any:
        return weights - lr * gradient, buffer


class Doubled:
    """Gradients are twice as large."""

    def gradient(self, name: str, gradient: Any, weights: Any, step: int) -> Any:
        return 2.0 * gradient


def lab(world: Any) -> Lab:
    return Lab(Context(seed=0, profile="quick", world=world_of(world)), 100.0)


@pytest.mark.parametrize(
    ("world", "rule", "untouched"),
    [(NoDecay, "sgd", False), (NoDecay, "adamw", True), (Doubled, "adamw", False)],
)
def test_an_update_reaches_the_rules_that_it_stands_in_for(world: Any, rule: str, untouched: bool) -> None:
    ours = lab(world)
    assert ours.untouched
    ours.part(10.0).fleet(CLEAN.net, CLEAN.data, batch_size=4, rule=rule, lanes=1)
    assert ours.untouched == untouched


def test_no_world_leaves_nothing_untouched() -> None:
    assert not Lab(Context(seed=0, profile="quick"), 100.0).untouched


def test_what_only_draws_batches_is_not_reached_by_other_gradients() -> None:
    ours = lab(Doubled)
    ours.visit(2, only=frozenset({"batch"}))
    assert ours.untouched
    ours.visit(2)
    assert not ours.untouched


@pytest.mark.nightly
def test_a_claim_about_another_rule_is_skipped_and_says_so() -> None:
    (unit,) = muon_equilibrium.CLAIM.plan("quick", 0)
    context = Context(seed=0, profile="quick", default_alpha=1e-4, world=world_of(NoDecay))
    found = muon_equilibrium.CLAIM.judge(unit.subject, context).findings
    assert {f.verdict for f in found} == {"skipped"}
    assert all("changes nothing in this training" in f.message for f in found)
    plain = muon_equilibrium.CLAIM.judge(unit.subject, Context(seed=0, profile="quick", default_alpha=1e-4))
    assert unreached(plain.findings[0], "NoDecay").message == found[0].message
