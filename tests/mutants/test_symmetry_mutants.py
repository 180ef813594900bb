"""optimizer-symmetry sees every broken AdamW with a scale of its own, and no homogeneous one.

Blindness is asserted too: wrong betas, a wrong bias correction or twice the decay keep every power of a.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from ilr_check.claims.exact import optimizer_symmetry
from ilr_check.claims.exact.checks.scaling import compare, scaled_path
from ilr_check.claims.exact.checks.stepwise import steps_agree
from ilr_check.claims.exact.optimizer_symmetry import Scaling
from ilr_check.claims.exact_law import REFUTED, Worst
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Cosine, Drops
from ilr_check.optim.specs import OptimizerSpec, implementations
from ilr_check.optim.symmetry import CONFIGURATIONS, symmetry_of
from ilr_check.train.loop import Setting, steps_of

SETTING = Setting(
    net=MLPSpec(inputs=8, widths=(6, 5), classes=4),
    data=TeacherStudentSpec(inputs=8, classes=4),
    hyper=HyperParams(lr=0.1, weight_decay=0.3, batch_size=16, steps=12),
    lr_schedule=Cosine(),
    decay_schedule=Drops(period=3, factor=2.0),
)
ADAMW = OptimizerSpec(name="AdamW", args={"eps": 1e-3})
Make = Callable[[OptimizerSpec], Callable[[Sequence[nn.Parameter], HyperParams], torch.optim.Optimizer]]


def before_step(change: Callable[[nn.Parameter, dict[str, Any]], None]) -> Make:
    """AdamW whose parameters, or their gradients, are changed in front of each step."""

    def make(spec: OptimizerSpec) -> Callable[..., torch.optim.Optimizer]:
        def factory(parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
            built = spec(parameters, hyper)

            def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
                with torch.no_grad():
                    for group in optimizer.param_groups:
                        for p in group["params"]:
                            change(p, group)

            built.register_step_pre_hook(hook)
            return built

        return factory

    return make


def with_args(**args: Any) -> Make:
    """AdamW with these arguments at every scale."""
    return lambda spec: msgspec.structs.replace(spec, args={**spec.args, **args})


def clip(p: nn.Parameter, group: dict[str, Any]) -> None:
    p.grad.mul_(min(1.0, 1e-2 / float(p.grad.norm())))  # type: ignore[union-attr]


def clip_at_scale_of_weights(p: nn.Parameter, group: dict[str, Any]) -> None:
    p.grad.mul_(min(1.0, 1e-2 / float(p.grad.norm() * p.norm())))  # type: ignore[union-attr]


BROKEN: dict[str, Make] = {
    "eps fixed": with_args(eps=1e-3),
    "eps fixed at the default of 1e-8": with_args(eps=1e-8),
    "gradient clipped at a fixed size": before_step(clip),
    "decay coupled to the gradient": lambda spec: msgspec.structs.replace(spec, name="Adam"),
    "decay not multiplied by lr": before_step(lambda p, group: p.mul_(1 - group["weight_decay"])),
    "noise of a fixed size": before_step(lambda p, group: p.add_(1e-6)),
}
BLIND: dict[str, Make] = {
    "other betas": with_args(betas=(0.5, 0.5)),
    "decay applied twice": before_step(lambda p, group: p.mul_(1 - group["lr"] * group["weight_decay"])),
    "gradient doubled, eps too": lambda spec: before_step(lambda p, group: p.grad.mul_(2.0))(
        msgspec.structs.replace(spec, args={"eps": 2.0 * spec.args["eps"]})
    ),
    "clip where gradient times weights is large": before_step(clip_at_scale_of_weights),
}


def ratio(make: Make, a: float = 4.0) -> float:
    symmetry, worst = symmetry_of(ADAMW), Worst()
    other = scaled_path(SETTING, ADAMW, symmetry, a, make(symmetry.scaled(ADAMW, a)))
    compare(steps_of(SETTING, make(ADAMW)), other, symmetry, a, SETTING, worst)
    return worst.outcome(steps=0).ratio


@pytest.mark.parametrize("mutant", BROKEN)
def test_mutant_is_caught(mutant: str) -> None:
    assert ratio(BROKEN[mutant]) >= REFUTED


@pytest.mark.parametrize("mutant", BLIND)
def test_homogeneous_mutant_passes(mutant: str) -> None:
    assert ratio(BLIND[mutant]) == 0.0


def test_right_optimizer_passes() -> None:
    assert ratio(lambda spec: spec) == 0.0


SYMMETRIC = {name: row for name, row in CONFIGURATIONS.items() if not row.symmetry.exception}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name, row in SYMMETRIC.items() for way in implementations(row.optimizer.name)],
)
def test_every_optimizer_and_implementation_trains_a_net_the_same_at_both_scales(
    name: str, way: Any, dtype: Any
) -> None:
    optimizer = SYMMETRIC[name].optimizer
    example = Scaling(
        setting=msgspec.structs.replace(SETTING, dtype=dtype),
        optimizer=msgspec.structs.replace(optimizer, implementation=way),
        a=0.25,
    )
    outcome = optimizer_symmetry.check(example)
    assert (outcome.ratio, outcome.steps, outcome.skipped) == (0.0, SETTING.hyper.steps, "")
    assert min(outcome.rivals.values()) >= REFUTED


BOUNDED = [name for name, row in SYMMETRIC.items() if not row.matrices_only]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", BOUNDED)
def test_a_step_at_another_scale_stays_within_its_bound(name: str, dtype: Any) -> None:
    example = Scaling(
        setting=msgspec.structs.replace(SETTING, dtype=dtype), optimizer=SYMMETRIC[name].optimizer, a=1.7
    )
    outcome = optimizer_symmetry.check(example)
    assert 0.0 < outcome.ratio <= 1.0
    assert outcome.steps == SETTING.hyper.steps


@pytest.mark.parametrize("argument", ["lr", "weight_decay"])
@pytest.mark.parametrize("name", BOUNDED)
def test_a_step_with_a_wrong_power_leaves_its_bound(name: str, argument: str) -> None:
    optimizer, symmetry = SYMMETRIC[name].optimizer, SYMMETRIC[name].symmetry
    worst = Worst()
    wrong = optimizer_symmetry.off_by_one(symmetry, argument)
    steps_agree(SETTING, optimizer, wrong, 1.7, worst)
    assert (worst.outcome(steps=0).ratio >= REFUTED) == optimizer.takes(argument)


def test_an_optimizer_without_the_symmetry_is_refuted() -> None:
    found = optimizer_symmetry.controls()
    assert len(found) == 3
    assert {rival: turn for rival, turn in found.items() if turn < REFUTED} == {}


def test_an_implementation_that_the_device_lacks_is_skipped() -> None:
    optimizer = OptimizerSpec(name="Rprop", implementation="fused")
    outcome = optimizer_symmetry.check(Scaling(setting=SETTING, optimizer=optimizer, a=2.0))
    assert outcome.skipped == "skipped: no fused Rprop on cpu"


def test_an_exception_is_no_example() -> None:
    with pytest.raises(ValueError, match="LBFGS has no symmetry"):
        Scaling(setting=SETTING, optimizer=OptimizerSpec(name="LBFGS"), a=2.0)
