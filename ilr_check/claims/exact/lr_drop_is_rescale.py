"""A drop of the lr is a rescaling of weights and state, followed by another weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import nn

from ilr_check.claims.exact.checks.paths import shortened
from ilr_check.claims.exact.checks.scaling import compare, parted, rescale
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.optim.schedules import ScheduleSpec, Sequence
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import Symmetry, symmetry_of
from ilr_check.train.loop import Preparation, Setting, steps_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="lr-drop-is-rescale",
    title="A drop of the learning rate changes the norm and the decay",
    statement=(
        "Dividing the learning rate by k = a^p during training gives the same functions from then on as "
        "multiplying the weights by a, each entry of the optimizer's state by its power of a, and the "
        "weight decay by a^q. With SGD and momentum a = sqrt(k), and the runs agree bit for bit for k = "
        "4^j; with AdamW a = k, and they do for k = 2^j."
    ),
    equation="η/k ≡ (√k·w, buf/√k, λ/k) for SGD, and (k·w, m/k, v/k², ε/k, λ/k) for AdamW",
    source="the symmetries of optimizer-symmetry, applied at one step of the run",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("buffers left out", "weight decay left alone"),
    meaning=(
        "The optimizer keeps something of the old learning rate, such as a buffer that contains it or a "
        "decay that does not follow it. Then a schedule is no longer a statement about norms and weight "
        "decay."
    ),
    blind=(
        "an optimizer that reads the learning rate only once and ignores the drop in both runs; "
        "immediate-drop finds it."
    ),
)

OPTIMIZERS = (
    "SGD", "SGD momentum", "SGD dampening", "SGD Nesterov", "Adam", "AdamW", "AdamW amsgrad", "NAdam",
    "Adamax", "RMSprop momentum", "Adagrad", "Lion", "Adadelta", "ASGD",
)  # fmt: skip
"""Optimizers whose step has one degree and depends on lr. Left out are RAdam with its phases, Adafactor with
a power of 0, and Rprop, which reads lr only when it is built, so that a drop does nothing and the law would
pass without meaning."""


class RescaledDrop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting and an optimizer, whose lr falls by 2^(power * p) at step ``at``."""

    setting: Setting
    optimizer: OptimizerSpec
    at: int
    power: int

    def __post_init__(self) -> None:
        if not 1 <= abs(self.power) <= 8:
            raise ValueError(f"power={self.power} must be within [-8, 8] and not 0; a = 2^power")
        if self.at < 0:
            raise ValueError(f"at={self.at} must be a step, 0 or later")
        if symmetry_of(self.optimizer).lr < 1:
            raise ValueError(
                f"{self.optimizer.name}: its weights do not scale with lr, so no drop rescales them"
            )


def check(example: RescaledDrop) -> Outcome:
    """Train with the drop and with the rescaling; every loss, weight and entry of the state must agree."""
    setting, optimizer, at, a = example.setting, example.optimizer, example.at, 2.0**example.power
    symmetry, worst = symmetry_of(optimizer), Worst()
    lr, decay = symmetry.rates(a)
    dropped = _from_step(setting, at, lr=1.0 / lr)
    decayed = _from_step(setting, at, weight_decay=decay)

    def rescaling(symmetry: Symmetry) -> Preparation:
        def prepare(t: int, stepper: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
            if t == at:
                rescale(stepper, parameters, symmetry, a)

        return prepare

    steps, skipped = compare(
        steps_of(dropped, optimizer),
        steps_of(decayed, optimizer, prepare=rescaling(symmetry)),
        symmetry,
        lambda t: a if t >= at else 1.0,
        setting,
        worst,
    )
    no_buffers = msgspec.structs.replace(symmetry, state={})
    rivals = {"buffers left out": (decayed, no_buffers), "weight decay left alone": (setting, symmetry)}
    for name, (other, powers) in rivals.items():
        one = steps_of(shortened(dropped, at + 2), optimizer)
        two = steps_of(shortened(other, at + 2), optimizer, prepare=rescaling(powers))
        worst.add_rival(name, parted(one, two, setting.dtype), 1.0)
    events = (
        f"optimizer: {optimizer.name}",
        "drop: never reached" if at >= setting.hyper.steps else "drop: seen",
    )
    return worst.outcome(steps=steps, events=(*events_of(setting), *events), skipped=skipped)


def _from_step(setting: Setting, at: int, *, lr: float = 1.0, weight_decay: float = 1.0) -> Setting:
    steps = max(1, setting.hyper.steps)

    def changed(schedule: ScheduleSpec, factor: float) -> Sequence:
        values = schedule.factors(steps)
        return Sequence(values=tuple(v * factor if t >= at else v for t, v in enumerate(values)))

    return msgspec.structs.replace(
        setting,
        lr_schedule=changed(setting.lr_schedule, lr),
        decay_schedule=changed(setting.decay_schedule, weight_decay),
    )


def _examples() -> SearchStrategy[RescaledDrop]:
    import hypothesis.strategies as st

    from ilr_check.strategies import optimizers

    def with_step(setting: Setting) -> SearchStrategy[RescaledDrop]:
        return st.builds(
            RescaledDrop,
            setting=st.just(setting),
            optimizer=optimizers(configurations=OPTIMIZERS),
            at=st.integers(0, max(0, min(6, setting.hyper.steps - 1))),
            power=st.sampled_from((1, -1, 2, -2, 3)),
        )

    return settings(momentum=False).flatmap(with_step)


LAW = ExactLaw(
    text=TEXT,
    example_type=RescaledDrop,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="difference of the paths / unit roundoff",
)
CLAIM = LAW.claim()
