"""Claims that follow from the symmetries: their rivals, broken optimizers that they must see, and their blind
spots."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
import torch
from broken_optimizers import broken

from ilr_check.claims.exact import (
    clip_and_sam,
    exponential_lr,
    gauge,
    init_scale_is_lr,
    lr_drop_is_rescale,
    lr_wd_equivalence,
)
from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact.clip_and_sam import Around
from ilr_check.claims.exact.gauge import Gauge
from ilr_check.claims.exact.init_scale_is_lr import Start
from ilr_check.claims.exact.lr_drop_is_rescale import OPTIMIZERS, RescaledDrop
from ilr_check.claims.exact.lr_wd_equivalence import Rescaling
from ilr_check.claims.exact_law import REFUTED, ExactLaw
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Cosine, Drops
from ilr_check.optim.specs import IMPLEMENTATIONS, Implementation, implementations
from ilr_check.optim.symmetry import CONFIGURATIONS
from ilr_check.train.loop import Setting

PLAIN = Setting(
    net=MLPSpec(inputs=8, widths=(6, 5), classes=4),
    data=TeacherStudentSpec(inputs=8, classes=4),
    hyper=HyperParams(lr=0.3, weight_decay=0.2, batch_size=16, steps=8),
    lr_schedule=Cosine(),
    decay_schedule=Drops(period=3, factor=2.0),
)
CONSTANT = msgspec.structs.replace(PLAIN, lr_schedule=Constant(), decay_schedule=Constant())
FACTORS = (1.0, 3.7, 0.2, 10.0, 1.3)


def with_hyper(setting: Setting, **values: Any) -> Setting:
    return msgspec.structs.replace(setting, hyper=msgspec.structs.replace(setting.hyper, **values))


def in_single(setting: Setting) -> Setting:
    return msgspec.structs.replace(setting, dtype="float32")


def drop(name: str, way: Any = "single-tensor", power: int = 2) -> RescaledDrop:
    optimizer = msgspec.structs.replace(CONFIGURATIONS[name].optimizer, implementation=way)
    return RescaledDrop(setting=with_hyper(PLAIN, lr=0.05), optimizer=optimizer, at=3, power=power)


def around(kind: Any, name: str) -> Around:
    row = CONFIGURATIONS[name].optimizer
    return Around(setting=PLAIN, optimizer=row, kind=kind, length=0.05, power=-2)


DECAYED = {0.0: 0.2, 0.9: 0.005}
"""Momentum to a weight decay that leaves the roots real at lr 0.3."""
HOLDING: dict[str, tuple[ExactLaw[Any], Any]] = {
    "init-scale-is-lr": (init_scale_is_lr.LAW, Start(setting=with_hyper(PLAIN, momentum=0.9), power=2)),
    "gauge": (gauge.LAW, Gauge(setting=PLAIN, factors=FACTORS)),
    "gauge, float32": (gauge.LAW, Gauge(setting=in_single(PLAIN), factors=FACTORS)),
    **{
        f"exponential-lr, momentum {mu}, {form.__name__}": (
            exponential_lr.LAW,
            form(with_hyper(CONSTANT, momentum=mu, weight_decay=decay)),
        )
        for mu, decay in DECAYED.items()
        for form in (with_hyper, in_single)
    },
    **{f"clip, {name}": (clip_and_sam.LAW, around("clip", name)) for name in ("SGD momentum", "SGD")},
    **{f"SAM, {name}": (clip_and_sam.LAW, around("sam", name)) for name in ("SGD momentum", "AdamW", "Lion")},
}


@pytest.mark.parametrize("case", HOLDING)
def test_the_law_holds_and_excludes_its_rivals(case: str) -> None:
    law, example = HOLDING[case]
    outcome = law.check(example)
    assert outcome.ratio <= 1.0
    assert outcome.steps == 8
    assert outcome.rivals
    assert min(outcome.rivals.values()) >= REFUTED


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_drop_is_a_rescaling_for_every_optimizer(name: str, way: Implementation) -> None:
    # This is asked here and not at collection, because torch builds each optimizer to find out.
    if way not in implementations(CONFIGURATIONS[name].optimizer.name):
        pytest.skip(f"torch has no {way} {name} on this device")
    outcome = lr_drop_is_rescale.check(drop(name, way))
    assert (outcome.ratio, outcome.steps) == (0.0, 8)
    stateless = CONFIGURATIONS[name].optimizer.args.get("momentum") is None and name == "SGD"
    assert (outcome.rivals["buffers left out"] == 0.0) == stateless
    assert outcome.rivals["weight decay left alone"] >= REFUTED


def test_blind_to_an_optimizer_that_ignores_the_drop() -> None:
    """Rprop reads lr once, so both runs go on as before the drop; immediate-drop is there to see it."""
    assert lr_drop_is_rescale.check(drop("Rprop")).ratio == 0.0


def test_a_drop_needs_weights_that_scale_with_lr() -> None:
    with pytest.raises(ValueError, match="do not scale with lr"):
        drop("Adafactor")


SEEN_BY: dict[str, set[str]] = {
    "wd not multiplied by lr": {"gauge", "init-scale-is-lr"},
    "L1 for L2": {"gauge", "init-scale-is-lr"},
    "lr squared": {"gauge", "init-scale-is-lr"},
    "gradient normalised": {"gauge", "init-scale-is-lr"},
    "gradient clipped at a fixed size": {"gauge", "init-scale-is-lr"},
    "hidden eps": {"gauge", "init-scale-is-lr"},
    # The step is homogeneous, so it is right for a constant c. A wrong decay shows between two norms.
    "wd halved": {"gauge"},
    "wd after the step": {"gauge"},
    "wd sign flipped": {"gauge"},
    "a for a^2": {"gauge"},
}
LAWS: dict[str, Callable[..., Any]] = {
    "gauge": partial(gauge.check, Gauge(setting=PLAIN, factors=FACTORS)),
    "init-scale-is-lr": partial(init_scale_is_lr.check, Start(setting=PLAIN, power=1)),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("mutant", SEEN_BY)
def test_mutant_is_seen_by_just_these_laws(mutant: str, law: str) -> None:
    assert (LAWS[law](optimizer=broken(mutant)).ratio > 1.0) == (law in SEEN_BY[mutant])


def test_exponential_lr_says_nothing_where_the_roots_are_complex() -> None:
    outcome = exponential_lr.check(with_hyper(CONSTANT, momentum=0.9))
    assert (outcome.steps, outcome.ratio) == (0, 0.0)


@pytest.mark.parametrize("max_norm", [1e-3, 1e3])
def test_clipping_agrees_with_torch_but_for_its_eps(max_norm: float) -> None:
    from ilr_check.optim.around import clip_exactly

    tensors = [torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2)]
    gradients = [torch.tensor([3.0, -4.0, 0.0]), torch.tensor([0.0, 0.0, 12.0])]
    for p, g in zip(tensors, gradients, strict=True):
        p.grad = g.double()
    clip_exactly(tensors, max_norm)
    factor = min(1.0, max_norm / 13.0)
    assert all(torch.allclose(p.grad, g.double() * factor) for p, g in zip(tensors, gradients, strict=True))


@pytest.mark.parametrize("scale", [1e8, 1e10])
def test_a_gradient_that_underflows_inside_a_norm_is_no_violation(scale: float) -> None:
    """In float32, dL/dy over the variance leaves the normal numbers where weights times gains are 1e20."""
    setting = Setting(
        net=MLPSpec(
            inputs=3, widths=(2, 2), classes=3, norm=NormSpec(kind="batch", affine=True), activation="relu"
        ),
        data=TeacherStudentSpec(inputs=3, classes=3),
        hyper=HyperParams(lr=0.5, weight_decay=0.1, batch_size=2, steps=3, init_scale=scale),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
        dtype="float32",
    )
    outcome = lr_wd_equivalence.check(Rescaling(setting=setting, power=1))
    assert outcome.ratio == 0.0
    assert outcome.skipped == (UNDERFLOW if scale > 1e9 else "")
