"""Worlds in a rule of parts: an update reaches the parts whose rule it stands in for, with their own lr."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.data import TextSpec
from ilr_check.nets import TransformerSpec
from ilr_check.nets.transformers import hidden_matrices
from ilr_check.optim.composed import for_language_models
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace
from ilr_check.train.world import world_of

NET = TransformerSpec(context=4, width=8, blocks=1, heads=1, mlp_width=8, placement="post")
RULE = for_language_models("muon")
STEPS = 6
LR = np.where(np.arange(STEPS) < 3, 0.5, 0.125)
ENDS = np.full(STEPS, 0.0625)


def trained(world: Any = None, lr: NDArray[Any] = LR, ends: NDArray[Any] = ENDS) -> Trace:
    fleet = Fleet(
        NET,
        TextSpec(context=4, limit=2**12, held_out=2**6),
        batch_size=2,
        rule=RULE,
        lanes=2,
        compile=False,
        world=None if world is None else world_of(world),
    )
    # Powers of two, so that a factor of the run's lr gives back the lr of the part.
    hyper = {"ends.lr": (ends / lr)[:, None], "ends.weight_decay": 2.0}
    runs = Runs(seeds=(0, 1), lr=lr[:, None], weight_decay=0.25, momentum=0.9, hyper=hyper)
    return fleet.train(runs, STEPS)


class Decays:
    """Weights lose lr * weight_decay of themselves, and nothing else happens."""

    def __init__(self, *replaces: str) -> None:
        self.replaces = replaces

    def update(
        self, name: str, w: Any, g: Any, buffer: Any, lr: Any, wd: Any, momentum: Any, step: int
    ) -> Any:
        return w * (1.0 - lr * wd), buffer


@pytest.mark.parametrize("replaced", ["muon", "adamw"])
def test_an_update_reaches_its_parts_with_their_lr_and_weight_decay(replaced: str) -> None:
    trace = trained(Decays(replaced))
    hidden = hidden_matrices(NET)
    for number, name in enumerate(trace.names):
        shrinks = {
            "hidden": LR * 0.25,
            "ends": ENDS * 0.5,
            "gains": 0.0 * LR,
        }["gains" if name.endswith("gain") else "hidden" if name in hidden else "ends"]
        expected = (1.0 - shrinks)[:, None] ** 2 * trace.norm2[..., number]
        only_decays = np.allclose(trace.next_norm2[..., number], expected, rtol=1e-5)
        assert only_decays == ((name in hidden) == (replaced == "muon")), name


def test_the_default_update_is_about_sgd_and_leaves_the_other_rules_alone() -> None:
    world = world_of(Decays("sgd", "heavy-ball", "nesterov"))
    assert not world.changes(RULE.names)
    assert world.changes(for_language_models("heavy-ball").names) == {"update"}
    assert np.array_equal(trained(world).norm2, trained().norm2)


class Late:
    """Uses each learning rate a step late; it remembers the one before."""

    before: Any = None

    def lr(self, lr: Any, step: int) -> Any:
        late = lr if self.before is None else self.before
        self.before = lr.clone()
        return late


def test_a_late_lr_is_that_of_each_part() -> None:
    late = np.concatenate([LR[:1], LR[:-1]])
    inside, by_hand = trained(Late), trained(lr=late)
    assert np.array_equal(inside.norm2, by_hand.norm2)
    assert np.array_equal(inside.next_norm2, by_hand.next_norm2)
    assert not np.array_equal(inside.next_norm2, trained().next_norm2)
    assert np.array_equal(inside.lr[:, 0], LR)


def test_a_late_lr_of_another_part_is_late_too() -> None:
    ends = np.where(np.arange(STEPS) < 2, 0.0625, 0.25)
    inside = trained(Late, ends=ends)
    by_hand = trained(lr=np.concatenate([LR[:1], LR[:-1]]), ends=np.concatenate([ends[:1], ends[:-1]]))
    assert np.array_equal(inside.norm2, by_hand.norm2)
