"""A planted defect shrinks to the smallest net, the simplest settings and the fewest steps that show it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn

from ilr_check.claims.exact import lr_wd_equivalence, norm_recursion
from ilr_check.claims.exact.lr_wd_equivalence import Rescaling
from ilr_check.claims.exact_law import ExactLaw, LawBroken
from ilr_check.claims.search import search
from ilr_check.nets.specs import MLPSpec, depth
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.loop import Setting


class Mutated(torch.optim.SGD):
    """SGD that also does ``mutation(p, group, t)`` to each weight before its step t."""

    def __init__(self, parameters: Sequence[nn.Parameter], hyper: HyperParams, mutation: Callable[..., None]):
        super().__init__(parameters, lr=hyper.lr, weight_decay=hyper.weight_decay, momentum=hyper.momentum)
        self.mutation, self.t = mutation, 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                self.mutation(p, group, self.t)
        self.t += 1
        return super().step(closure)


def _decay_again(p: nn.Parameter, group: dict[str, Any], t: int) -> None:
    p.mul_(1.0 - group["lr"] * group["weight_decay"])


def _shrink_from_the_fourth_step(p: nn.Parameter, group: dict[str, Any], t: int) -> None:
    if t >= 3:
        p.mul_(0.5)


def _shrink_wide_layers(p: nn.Parameter, group: dict[str, Any], t: int) -> None:
    if p.shape[0] >= 5:
        p.mul_(0.5)


def _uncoupled_decay(p: nn.Parameter, group: dict[str, Any], t: int) -> None:
    p.mul_(1.0 - 0.5 * group["weight_decay"])


def shrunk(law: ExactLaw[Any], mutation: Callable[..., None]) -> Any:
    """Return the smallest counter-example that the search finds."""
    wrong = law.of(lambda parameters, hyper: Mutated(parameters, hyper, mutation), {})

    def attempt(example: Any) -> None:
        if wrong.check(example).ratio > 1.0:
            raise LawBroken

    found = search(law.examples(), attempt, examples=300, seed=1)
    assert found is not None
    return found


def assert_plain(setting: Setting) -> None:
    """The net has one layer, and nothing that the defect does not need."""
    assert isinstance(setting.net, MLPSpec)
    assert depth(setting.net) == 1
    assert setting.net.inputs <= 2
    assert setting.net.classes == 2
    assert (setting.net.activation, setting.net.bias) == ("identity", False)
    assert setting.lr_schedule == Constant()
    assert setting.hyper.momentum == 0.0
    assert setting.hyper.init_scale == 1.0


@pytest.mark.parametrize(
    ("mutation", "steps", "width"),
    [
        # One step with a decay that leaves something of the weights. With weight_decay = 1, which is plainer
        # to Hypothesis, decaying twice would take three steps to show.
        pytest.param(_decay_again, 1, 1, id="wd applied twice: one step of one unit"),
        pytest.param(_shrink_from_the_fourth_step, 4, 1, id="from the fourth step on: four steps"),
        pytest.param(_shrink_wide_layers, 1, 5, id="layers of five units and more: five units"),
    ],
)
def test_a_broken_norm_shrinks_to(mutation: Callable[..., None], steps: int, width: int) -> None:
    setting = shrunk(norm_recursion.LAW, mutation)
    assert_plain(setting)
    assert (setting.hyper.steps, setting.net.widths) == (steps, (width,))


@pytest.mark.nightly
def test_a_broken_equivalence_shrinks_to_one_step_of_one_layer() -> None:
    example: Rescaling = shrunk(lr_wd_equivalence.LAW, _uncoupled_decay)
    assert_plain(example.setting)
    assert example.setting.hyper.steps == 1
    assert max(example.setting.net.widths) <= 2
    assert example.power == 1
