"""The mean-field laws refute defects that only a schedule, an epoch or the size of the noise shows."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor, nn

from ilr_check.claims.claim import Context
from ilr_check.claims.exact import momentum_identity
from ilr_check.claims.exact_law import REFUTED
from ilr_check.claims.mean_field import equilibrium_effective_lr, gamma_ode, norm_offset, schedule_law
from ilr_check.claims.mean_field.trainings.course import Phase, ScheduledTraining
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, Level
from ilr_check.data import DigitsSpec, TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Drops
from ilr_check.train.loop import Setting, torch_sgd
from ilr_check.train.trace import GroupTrace
from ilr_check.train.world import World, world_of

pytestmark = [
    pytest.mark.on_push(
        "test_decay_once_an_epoch_for_all_of_its_steps_breaks_the_identity",
    ),
    pytest.mark.usefixtures("compiled"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
NET, DATA = MLPSpec(inputs=64, widths=(24,), classes=10), DigitsSpec(label_noise=0.5)
COURSE = ScheduledTraining(
    title="cheap course",
    net=NET,
    data=DATA,
    phases=(Phase(steps=60, start=0.0, end=1.0), Phase(steps=150, start=0.2, end=0.2)),
    weight_decay=0.032,
    burn_in=160,
    looks=(64,),
    planned_sd=0.05,
)
COURSES = {"gamma-ode": gamma_ode.LAW, "schedule-law": schedule_law.LAW}
LEVELS = tuple(Level(lr=lr, weight_decay=0.016 / lr) for lr in (0.5, 0.25, 0.125))
EPOCH = 56
"""Steps: 1797 digits in batches of 32."""


def along_a_course(law: Any, world: World | None = None) -> dict[str, str]:
    found = law.judge(msgspec.to_builtins(COURSE), replace(CONTEXT, world=world))
    return {finding.form: finding.verdict for finding in found.findings}


def at_equilibrium(law: Any, world: World | None = None) -> str:
    experiment = Equilibrium(title="cheap", net=NET, data=DATA, levels=LEVELS, looks=(64,), planned_sd=0.05)
    found = law.judge(msgspec.to_builtins(experiment), replace(CONTEXT, world=world)).findings
    (verdict,) = (finding.verdict for finding in found if finding.counts)
    return verdict


def noise_is_off_by(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    right = vars(GroupTrace)["unit_grad2"].fget
    monkeypatch.setattr(GroupTrace, "unit_grad2", property(lambda trace: factor * right(trace)))


def test_right_trainers_hold_in_these_designs() -> None:
    assert at_equilibrium(equilibrium_effective_lr.LAW) == "holds"
    for law in COURSES.values():
        assert along_a_course(law) == {"identity": "holds", "transfer": "holds"}


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_trace_of_the_noise_off_by_a_fifth_costs_the_verdict(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    noise_is_off_by(monkeypatch, factor)
    assert at_equilibrium(equilibrium_effective_lr.LAW) != "holds"
    for law in COURSES.values():
        assert along_a_course(law)["transfer"] != "holds"


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_a_trace_of_the_noise_off_by_half_is_violated(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    noise_is_off_by(monkeypatch, factor)
    assert at_equilibrium(equilibrium_effective_lr.LAW) == "violated"
    for law in COURSES.values():
        assert along_a_course(law)["transfer"] == "violated"


def test_a_ratio_of_two_norms_is_blind_to_the_size_of_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    noise_is_off_by(monkeypatch, 1.5)
    assert at_equilibrium(norm_offset.LAW) == "holds"


@dataclass
class DecayOnceAnEpoch:
    """Plain SGD that decays in the first step of each epoch only, by ``times`` the weight decay."""

    times: float

    def update(
        self,
        name: str,
        weights: Tensor,
        gradient: Tensor,
        buffer: Tensor,
        lr: Tensor,
        weight_decay: Tensor,
        momentum: Tensor,
        step: int,
    ) -> tuple[Tensor, Tensor]:
        decay = self.times * weight_decay if step % EPOCH == 0 else 0.0
        return weights - lr * (gradient + decay * weights), buffer


def decay_once_an_epoch(times: float) -> World:
    return world_of(DecayOnceAnEpoch(times))


@pytest.mark.parametrize("law", COURSES.values(), ids=COURSES)
def test_decay_once_an_epoch_is_refuted_along_a_schedule(law: Any) -> None:
    verdicts = along_a_course(law, decay_once_an_epoch(1.0))
    assert verdicts == {"identity": "violated", "transfer": "violated"}


def test_decay_once_an_epoch_is_refuted_at_equilibrium() -> None:
    assert at_equilibrium(equilibrium_effective_lr.LAW, decay_once_an_epoch(1.0)) == "violated"


def test_decay_once_an_epoch_for_all_of_its_steps_breaks_the_identity() -> None:
    """Its mean is right, so laws about means may not see it."""
    assert along_a_course(gamma_ode.LAW, decay_once_an_epoch(EPOCH))["identity"] == "violated"


class ForgetsAtADrop(torch.optim.SGD):
    """The momentum buffer is reset when lr falls, as by a new optimizer for each stage."""

    lr_before = 0.0

    def step(self, closure: Any = None) -> Any:
        (group,) = self.param_groups
        if group["lr"] < self.lr_before:
            for p in group["params"]:
                self.state[p].pop("momentum_buffer", None)
        self.lr_before = group["lr"]
        return super().step(closure)


def forgets_at_a_drop(parameters: list[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
    return ForgetsAtADrop(parameters, lr=hyper.lr, weight_decay=hyper.weight_decay, momentum=hyper.momentum)


def test_a_buffer_reset_at_a_drop_is_refuted_by_the_momentum_identity() -> None:
    dropping = Setting(
        net=MLPSpec(inputs=8, widths=(6, 5), classes=4),
        data=TeacherStudentSpec(inputs=8, classes=4),
        hyper=HyperParams(lr=0.3, weight_decay=0.04, momentum=0.9, batch_size=16, steps=8),
        lr_schedule=Drops(period=3, factor=0.1),
        decay_schedule=Constant(),
    )
    assert momentum_identity.check(dropping, torch_sgd).ratio <= 1.0
    assert momentum_identity.check(dropping, forgets_at_a_drop).ratio > REFUTED
