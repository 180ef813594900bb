"""The examples of false alarms in nightly hunts. Correct code passes there now, and wrong code still fails.

Hypothesis shrank each example. All have batches of two, where a BatchNorm maps its two numbers
to +-1 and gradients are rounding; those of the first hunt are float32.
"""

from typing import Any, Literal

import msgspec
import pytest
import torch
from broken_optimizers import broken

from ilr_check.claims.exact import angle_identity, exponential_lr, gauge, optimizer_symmetry, scale_invariance
from ilr_check.claims.exact.checks.paths import UNDERFLOW, underflows
from ilr_check.claims.exact.gauge import Gauge
from ilr_check.claims.exact.optimizer_symmetry import Scaling
from ilr_check.claims.exact.scale_invariance import Scaled
from ilr_check.claims.exact_law import REFUTED, ExactLaw
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec, ResNetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, ScheduleSpec, Sequence, WarmUp
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import CONFIGURATIONS
from ilr_check.train.loop import Setting, Step


def small(
    net: NetSpec,
    lr_schedule: ScheduleSpec | None = None,
    decay_schedule: ScheduleSpec | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    **hyper: Any,
) -> Setting:
    return Setting(
        net=net,
        data=TeacherStudentSpec(inputs=net.inputs, classes=2),
        hyper=HyperParams(batch_size=2, **hyper),
        lr_schedule=lr_schedule or Constant(),
        decay_schedule=decay_schedule or Constant(),
        dtype=dtype,
    )


def flat(widths: tuple[int, ...], **options: Any) -> MLPSpec:
    return MLPSpec(**{"inputs": 1, "widths": widths, "classes": 2, "activation": "identity", **options})


def in_range(example: Scaling, **net: Any) -> Scaling:
    """Return the same optimizer and factor with a net and a batch whose gradients are not rounding."""
    replaced = msgspec.structs.replace
    setting = replaced(
        example.setting,
        net=replaced(example.setting.net, activation="relu", **net),
        hyper=replaced(example.setting.hyper, batch_size=16, steps=3, weight_decay=0.1),
    )
    return replaced(example, setting=setting)


WARMED = small(
    ResNetSpec(
        shape=(1,),
        width=7,
        blocks=1,
        classes=2,
        residual="pre",
        norm=NormSpec(kind="batch", affine=True),
        activation="identity",
    ),
    lr=8.0,
    weight_decay=0.125,
    steps=11,
    decay_schedule=WarmUp(period=10),
)
"""The variance falls to 1e-44, a subnormal number."""
GROWN = Gauge(
    setting=small(
        MLPSpec(inputs=1, widths=(1,), classes=2, activation="identity"),
        lr=1.0,
        weight_decay=1.001,
        steps=13,
        init_scale=977.0,
        lr_schedule=Sequence(values=(1.0, 3.63, 11.0, 100.0, 295.0, 977.0)),
        decay_schedule=Sequence(values=(1.17, 1.05, 1.0, 437.0, 977.0, 977.0)),
    ),
    factors=(1.0, 1.0, 1.0, 1.0, 1.0, 0.02, 1.0, 1.0),
)
"""lambda_e of 1e6: a few steps take the weights beyond 1e38."""
CANCELLING = small(
    ResNetSpec(shape=(1,), width=2, blocks=2, classes=2, residual="post", activation="identity"),
    lr=1.0,
    weight_decay=0.0,
    steps=1,
)
"""A residual sum cancels to its rounding, and the set of two that it makes flips."""
FLOORED = Scaling(
    setting=small(
        CNNSpec(
            image=(1, 1, 3),
            channels=(2,) * 5,
            classes=2,
            kernel=1,
            strides=(1, 1, 1, 2, 2),
            norm=NormSpec(kind="layer"),
            activation="identity",
        ),
        lr=1.0,
        weight_decay=0.0,
        steps=1,
    ),
    optimizer=OptimizerSpec(name="Adafactor", args={"eps": (2.0**-60, 2.0**-10)}),
    a=2.0,
)
"""A gradient of 4e-10, all rounding, reaches the floor of Adafactor's mean of squares."""
FLOORED_STEPWISE = Scaling(
    setting=small(
        flat((*(1,) * 15, 24), norm=NormSpec(affine=True)),
        lr=1.0,
        weight_decay=0.0,
        steps=1,
        init_scale=0.01,
        dtype="float64",
    ),
    optimizer=FLOORED.optimizer,
    a=0.6,
)
"""The same where steps are compared within a bound."""
FLOORED_DECAYING = Scaling(
    setting=small(flat((1,)), lr=1.0, weight_decay=0.1, steps=1, init_scale=10.5),
    optimizer=FLOORED.optimizer,
    a=2.0,
)
"""A gradient of 3e-10 beside a decay of 2, which is no part of Adafactor's gradient."""
MUON = OptimizerSpec(name="Muon", args={})


def rms(*widths: int) -> MLPSpec:
    return flat(widths, norm=NormSpec(kind="rms"), activation="leaky_relu")


BELOW_BFLOAT16 = Scaling(
    setting=small(rms(*(1,) * 8, 13, 1, 1), lr=1.0, weight_decay=1.0, steps=1, dtype="float64"),
    optimizer=MUON,
    a=2.0,
)
"""A gradient of 1e-35 in float64; Muon's Newton-Schulz is in bfloat16, which ends at 1e-38."""
BUFFER_BELOW_BFLOAT16 = Scaling(
    setting=small(rms(1, 1, 1, 1, 3, 7, 5, 22, 3, 2), lr=1.0, weight_decay=1.0, steps=2, dtype="float64"),
    optimizer=MUON,
    a=2.0,
)
"""A gradient of 0 and a buffer of 2e-39."""
OVERFLOWING = Scaling(
    setting=small(
        flat((29,)),
        lr=1.0,
        weight_decay=1.324,
        steps=18,
        init_scale=0.0977,
        lr_schedule=Sequence(values=(10.5,)),
        decay_schedule=Sequence(values=(10.5,)),
    ),
    optimizer=OptimizerSpec(name="SGD", args={}),
    a=1.7,
)
"""lambda_e of 146: after 18 steps the scaled weights alone are no float32 numbers."""
VANISHING = small(
    flat((1,)),
    lr=1.02,
    weight_decay=0.09803921568627451,
    steps=1,
    lr_schedule=Sequence(values=(10.0,)),
    dtype="float64",
)
"""1 - lr wd is one rounding, 2^-53."""
CORNERS: dict[str, tuple[ExactLaw[Any], Any]] = {
    "angle-identity": (angle_identity.LAW, WARMED),
    "gauge": (gauge.LAW, GROWN),
    "scale-invariance": (scale_invariance.LAW, Scaled(setting=CANCELLING, powers=(1,), factors=(1.02,))),
    "optimizer-symmetry": (optimizer_symmetry.LAW, FLOORED),
    "optimizer-symmetry, step by step": (optimizer_symmetry.LAW, FLOORED_STEPWISE),
    "optimizer-symmetry, with decay": (optimizer_symmetry.LAW, FLOORED_DECAYING),
    "optimizer-symmetry, bfloat16 inside": (optimizer_symmetry.LAW, BELOW_BFLOAT16),
    "optimizer-symmetry, bfloat16 in the buffer": (optimizer_symmetry.LAW, BUFFER_BELOW_BFLOAT16),
    "optimizer-symmetry, growing": (optimizer_symmetry.LAW, OVERFLOWING),
    "exponential-lr": (exponential_lr.LAW, VANISHING),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CORNERS)
def test_right_code_passes_in_the_corner(name: str) -> None:
    law, example = CORNERS[name]
    assert law.check(example).ratio <= 1.0


@pytest.mark.parametrize("mutant", ["wd halved", "wd sign flipped", "wd applied twice"])
def test_angle_identity_sees_a_wrong_decay_there(mutant: str) -> None:
    assert angle_identity.check(WARMED, optimizer=broken(mutant)).ratio > REFUTED


@pytest.mark.parametrize("mutant", ["wd halved", "wd sign flipped", "wd applied twice"])
def test_gauge_sees_a_wrong_decay_in_the_steps_that_are_left(mutant: str) -> None:
    outcome = gauge.check(GROWN, optimizer=broken(mutant))
    assert outcome.ratio > REFUTED
    assert "a scaled step leaves the range: left out" in gauge.check(GROWN).events


def test_a_flip_is_named_and_powers_of_two_are_still_compared() -> None:
    outcome = scale_invariance.check(CORNERS["scale-invariance"][1])
    assert "any factor: too ill-conditioned" in outcome.events
    assert outcome.steps == 1
    wide = msgspec.structs.replace(CANCELLING, net=msgspec.structs.replace(CANCELLING.net, residual="pre"))
    judged = scale_invariance.check(Scaled(setting=wide, powers=(1,), factors=(1.02,)))
    assert "any factor: judged" in judged.events
    assert judged.ratio <= 1.0


def test_adafactor_below_its_floor_is_skipped_and_above_it_is_judged() -> None:
    assert optimizer_symmetry.check(FLOORED).skipped == UNDERFLOW
    outcome = optimizer_symmetry.check(in_range(FLOORED, channels=(6, 6), strides=(1, 1)))
    assert (outcome.ratio, outcome.steps, outcome.skipped) == (0.0, 3, "")
    assert min(outcome.rivals.values()) >= REFUTED


def test_what_grows_is_judged_until_it_leaves_the_range() -> None:
    outcome = optimizer_symmetry.check(OVERFLOWING)
    assert outcome.steps == 17
    assert 0.0 < outcome.ratio <= 1.0


def test_muon_within_the_range_of_bfloat16_is_judged() -> None:
    outcome = optimizer_symmetry.check(in_range(BELOW_BFLOAT16, widths=(6, 5)))
    assert (outcome.ratio, outcome.steps, outcome.skipped) == (0.0, 3, "")
    assert min(outcome.rivals.values()) >= REFUTED


def test_adafactor_above_its_floor_is_judged_step_by_step() -> None:
    outcome = optimizer_symmetry.check(in_range(FLOORED_STEPWISE, widths=(6, 5)))
    assert 0.0 < outcome.ratio <= 1.0
    assert min(outcome.rivals.values()) >= REFUTED


@pytest.mark.parametrize(("gradient", "excused"), [(0.0, False), (1e-35, True), (1e-3, False)])
@pytest.mark.parametrize("name", ["AdamW", "Muon"])
def test_a_wrong_decay_is_excused_by_a_lost_gradient_alone(name: str, gradient: float, excused: bool) -> None:
    def step(after: float) -> Step:
        w, g, new = ({"w": torch.tensor([[x]])} for x in (1.0, gradient, after))
        nothing = torch.zeros(())
        return Step(0, nothing, nothing, nothing, w, g, new, {"w": {}}, 1.0, 0.1)

    symmetry = CONFIGURATIONS[name].symmetry
    assert underflows(step(0.9), step(0.8), 1.0, symmetry) == excused
