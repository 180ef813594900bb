"""The claim about SVAG refutes a covariance and a weight decay that do not follow the order."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_twice, decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import svag
from ilr_check.data import NoiseSpec, SvagNoise
from ilr_check.optim.sgd import StepHyper
from ilr_check.train import choice
from ilr_check.train.world import World, world_of

pytestmark = [
    pytest.mark.on_push(
        "test_a_planted_defect_is_refuted[s = sqrt(l)]",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
LR = 4.0


def decay_of_sgd(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """The whole decay of a step of SGD at each of the l smaller steps."""
    return (1.0 - LR * h.weight_decay) * w - h.lr * g, None


(QUICK,) = svag.experiments("quick", 0)
CHEAP = msgspec.structs.replace(QUICK, burn_in=1.5, window=4.0, planned_sd=0.13, looks=(64,))
"""A shorter window and one look; the sd is that of the orders whose margin is narrow."""
CHEAPER = msgspec.structs.replace(CHEAP, cells=CHEAP.cells[:3], probes=10, planned_sd=None, looks=(32,))
"""For defects, which are so large that less is enough."""


class SmallerSpread:
    """The two batches are combined with s = sqrt(l) instead of sqrt(2 l - 1)."""

    def noise(self, spec: NoiseSpec | None) -> NoiseSpec | None:
        return SvagNoise(order=0.5 * (spec.order + 1.0)) if isinstance(spec, SvagNoise) else spec


def judged(grid: svag.Orders, world: World) -> Finding:
    (finding,) = svag.CLAIM.judge(msgspec.to_builtins(grid), replace(CONTEXT, world=world)).findings
    return finding


@pytest.mark.parametrize(
    "world",
    [world_of(SmallerSpread), stepping_by(decay_of_sgd), stepping_by(decay_twice)],
    ids=["s = sqrt(l)", "decay not divided", "decay twice"],
)
def test_a_planted_defect_is_refuted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(choice.LANES, "cpu", 32)
    assert judged(CHEAPER, world).verdict == "violated"


def test_the_right_combination_holds_and_excludes_every_rival() -> None:
    finding = judged(CHEAP, stepping_by(decay_written_first))
    assert finding.verdict == "holds"
    assert all(rival.excluded for rival in finding.rivals)
