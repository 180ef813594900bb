"""Worlds: what they change, which runs they do not change, and which objects are refused."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ilr_check.claims.claim import Context
from ilr_check.claims.lab import Lab, SharedSeed
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.loop import Setting, sgd_in, steps_of, torch_sgd
from ilr_check.train.trace import Trace
from ilr_check.train.world import WorldError, named_world, world_of

NET = MLPSpec(inputs=64, widths=(8,), classes=10)
STEPS = 12


class Same:
    """Has every hook, and changes nothing."""

    def gradient(self, name: str, gradient: Any, weights: Any, step: int) -> Any:
        return gradient

    def lr(self, lr: Any, step: int) -> Any:
        return lr

    def batch(self, rows: Any, labels: Any, step: int) -> Any:
        return rows, labels

    def update(
        self, name: str, w: Any, g: Any, buffer: Any, lr: Any, wd: Any, momentum: Any, step: int
    ) -> Any:
        return torch.addcmul(w, lr, torch.addcmul(g, wd, w), value=-1), buffer


class NoDecay:
    """Leaves the weight decay out."""

    fraction = 0.5

    def update(
        self, name: str, w: Any, g: Any, buffer: Any, lr: Any, wd: Any, momentum: Any, step: int
    ) -> Any:
        return w - lr * g, buffer


class Late:
    """Uses each learning rate a step late; it remembers the one before."""

    def __init__(self) -> None:
        self.before: Any = None

    def lr(self, lr: Any, step: int) -> Any:
        late = lr if self.before is None else self.before
        self.before = lr.clone()
        return late


def trained(world: Any = None, lr: Any = 0.5, runs: int = 6) -> Trace:
    fleet = Fleet(
        NET,
        DigitsSpec(label_noise=0.5),
        batch_size=8,
        lanes=4,
        compile=False,
        world=None if world is None else world_of(world),
    )
    return fleet.train(Runs(seeds=range(runs), lr=lr, weight_decay=0.1), STEPS)


def test_a_world_that_changes_nothing_gives_the_same_bits() -> None:
    plain, same = trained(), trained(Same)
    assert np.array_equal(plain.norm2, same.norm2)
    assert np.array_equal(plain.grad2, same.grad2)


def test_a_share_of_the_runs_departs_and_the_others_keep_their_bits() -> None:
    plain, mixed = trained(), trained(NoDecay)
    assert np.array_equal(plain.norm2[:, :3], mixed.norm2[:, :3])
    assert (mixed.norm2[-1, 3:] > plain.norm2[-1, 3:]).all()


def test_a_late_lr_is_used_late_and_promised_in_time_in_every_chunk() -> None:
    lr = np.where(np.arange(STEPS) < 6, 0.5, 0.05)[:, None]
    plain, late = trained(lr=lr), trained(Late, lr=lr)
    assert np.array_equal(plain.lr, late.lr)
    assert np.array_equal(plain.norm2[:7], late.norm2[:7])
    assert (late.turned2[6] > 10.0 * plain.turned2[6]).all()


def test_noise_references_can_be_left_alone() -> None:
    class JudgedOnly(NoDecay):
        judged_only = True

    lab = Lab(Context(seed=0, profile="quick", world=world_of(JudgedOnly)), 1)
    judged, other = (
        lab.fleet(NET, DigitsSpec(), batch_size=8, role=role)  # type: ignore[arg-type]
        for role in ("judged", "noise reference")
    )
    assert judged.world is not None
    assert other.world is None


def test_a_run_cannot_be_its_own_noise_reference() -> None:
    lab = Lab(Context(seed=0, profile="quick"), 1)
    lab.claim_seeds("judged", [1, 2])
    with pytest.raises(SharedSeed, match="must be independent"):
        lab.claim_seeds("noise reference", [2, 3])


def setting() -> Setting:
    constant = Constant()
    return Setting(
        net=NET,
        data=DigitsSpec(),
        hyper=HyperParams(lr=0.5, weight_decay=0.1, momentum=0.0, batch_size=8, steps=4, seed=3),
        lr_schedule=constant,
        decay_schedule=constant,
    )


@pytest.mark.parametrize(("world", "same"), [(Same, True), (NoDecay, False)])
def test_an_exact_training_enters_the_world(world: Any, same: bool) -> None:
    pairs = itertools.zip_longest(
        steps_of(setting(), torch_sgd), steps_of(setting(), sgd_in(world_of(world)))
    )
    equal = [torch.equal(a.after[name], b.after[name]) for a, b in pairs for name in a.after]
    assert all(equal) if same else not any(equal)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (object(), "changes nothing"),
        (type("Wide", (Same,), {"fraction": 1.5}), r"fraction=1.5; give a share of the runs in \(0, 1\]"),
        (type("Number", (), {"gradient": 3}), "gradient is not callable"),
        (type("Needs", (), {"__init__": lambda self, x: None, "lr": 1}), "cannot be made without arguments"),
    ],
)
def test_what_is_no_world_is_refused(given: Any, words: str) -> None:
    with pytest.raises(WorldError, match=words):
        world_of(given)


FILE = """
class Stronger:
    def lr(self, lr, step):
        return 2.0 * lr
"""


def test_a_world_travels_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    for world in (world_of(Same()), named_world(f"{tmp_path / 'mine.py'}:Stronger")):
        copy = pickle.loads(pickle.dumps(world))
        assert (copy.name, copy.hooks, copy.target) == (world.name, world.hooks, world.target)
        assert copy.make().lr(1.0, 0) == world.make().lr(1.0, 0)


def test_a_hook_that_drops_the_axis_of_runs_is_told_so() -> None:
    class Flat:
        def gradient(self, name: str, gradient: Any, weights: Any, step: int) -> Any:
            return gradient[0]

    with pytest.raises(WorldError, match="keep the leading axis of runs"):
        trained(Flat)
