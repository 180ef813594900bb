"""A defect planted in the net shrinks to the smallest net and the fewest steps that show it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest
from torch import Tensor, nn

from ilr_check.claims.exact import gradient_orthogonality, scale_invariance
from ilr_check.claims.exact_law import ExactLaw, LawBroken
from ilr_check.claims.search import search
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets import build
from ilr_check.nets.norms import as_sets, normalise
from ilr_check.nets.specs import MLPSpec, NetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train import loop
from ilr_check.train.loop import Setting

Build = Callable[..., nn.Module]


def with_eps(net: NetSpec, **options: Any) -> nn.Module:
    """Every norm has an eps that the spec does not state."""
    norms = msgspec.structs.replace(net.norm, eps=1e-3)
    return build(msgspec.structs.replace(net, norm=norms), **options)


def without_second_norm(net: NetSpec, **options: Any) -> nn.Module:
    """The second norm layer returns its input."""
    module = build(net, **options)
    for norm in getattr(module, "norms", ())[1:2]:
        norm.forward = lambda z: z
    return module


def with_stale_statistics(net: NetSpec, **options: Any) -> nn.Module:
    """BatchNorm takes mean and variance of the batch before, from the second batch on."""
    module = build(net, **options)
    for norm in getattr(module, "norms", ()) if net.norm.kind == "batch" else ():
        norm.forward = _by_statistics_of_last_call(norm.spec)
    return module


def _by_statistics_of_last_call(spec: Any) -> Callable[[Tensor], Tensor]:
    seen: list[tuple[Tensor, Tensor]] = []

    def forward(z: Tensor) -> Tensor:
        dims = as_sets(z, spec)[1]
        seen.append((z.detach().mean(dims, keepdim=True), z.detach().var(dims, correction=0, keepdim=True)))
        if len(seen) == 1:
            return normalise(z, spec)
        mean, var = seen[-2]
        return (z - mean) / var.clamp_min(1e-30).sqrt()

    return forward


def shrunk(law: ExactLaw[Any]) -> Setting:
    """Return the smallest counter-example that the search finds."""

    def attempt(example: Any) -> None:
        if law.check(example).ratio > 1.0:
            raise LawBroken

    found = search(law.examples(), attempt, examples=300, seed=1)
    assert found is not None
    return getattr(found, "setting", found)


@pytest.mark.parametrize(
    ("law", "builder", "defect", "widths", "steps"),
    [
        pytest.param(gradient_orthogonality.LAW, loop, with_eps, (1,), 1, id="eps: a unit, one step"),
        # The first batch is normalised by its own statistics; the second is the first to show the defect.
        pytest.param(
            gradient_orthogonality.LAW,
            loop,
            with_stale_statistics,
            (1,),
            2,
            id="stale: a unit, two steps",
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            scale_invariance.LAW, scale_invariance, with_eps, (1,), 1, id="eps, scaling: a unit, one step"
        ),
        pytest.param(
            scale_invariance.LAW, scale_invariance, without_second_norm, (1, 1), 1, id="no second norm: two"
        ),
    ],
)
def test_a_broken_net_shrinks_to(
    law: ExactLaw[Any],
    builder: ModuleType,
    defect: Build,
    widths: tuple[int, ...],
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builder, "build", defect)
    setting = shrunk(law)
    # Everything that the defect does not need has its simplest value.
    assert setting == Setting(
        net=MLPSpec(inputs=1, widths=widths, classes=2, activation="identity"),
        data=TeacherStudentSpec(inputs=1, classes=2, label_noise=0.0),
        hyper=HyperParams(lr=1.0, weight_decay=0.0, batch_size=2, steps=steps),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
    )
