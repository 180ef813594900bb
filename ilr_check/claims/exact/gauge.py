"""The norm is free at every step: any rescaling, with its own lr and weight decay, keeps the directions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor, nn

from ilr_check.claims.exact.checks.paths import finite
from ilr_check.claims.exact.checks.scaling import compare, rescale
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.optim.schedules import ScheduleSpec, Sequence
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import symmetry_of
from ilr_check.theory.gauge import gauge_rates
from ilr_check.theory.rounding import Array, gauged_step_bound
from ilr_check.train.loop import DTYPES, OptimizerFactory, Setting, Step, one_step, steps_of, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="gauge",
    title="The norm of the weights can be chosen freely at every step",
    statement=(
        "Choose any positive factors c_t. The weights c_t w_t, with the learning rate c_t c_{t+1} lr_t and "
        "the weight decay that leads to c_{t+1} w_{t+1}, have the same directions as w_t. The claim "
        "compares one step from the same state at every step, within a rounding bound. For powers of two "
        "it compares the whole run, bit for bit."
    ),
    equation="w̃ = c_t w, η̃ = c_t c_{t+1} η, 1 − η̃λ̃ = (c_{t+1}/c_t)(1 − ηλ)  ⟹  w̃′ = c_{t+1} w′",
    source="Li and Arora 2020, Lemma 2.4, at every step",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("c_t not carried to c_{t+1}",),
    meaning=(
        "The step is not w - lr (g + wd w), or it has a length of its own. Then the norm of the weights "
        "has an effect beyond the effective learning rate."
    ),
    blind="a constant factor on the gradient; and momentum, for which the claim is not stated.",
)

NEAR = 2
"""The number of steps on which the rival is tried."""


class Gauge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting of plain SGD, and the factors c_0, c_1, ...; after the last one they repeat."""

    setting: Setting
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.factors or not all(1e-3 <= c <= 1e3 for c in self.factors):
            raise ValueError(f"factors={self.factors!r}: must be one or more numbers within [0.001, 1000]")
        if self.setting.hyper.momentum:
            raise ValueError(
                f"momentum={self.setting.hyper.momentum}: the gauge is one of plain SGD; set it to 0"
            )

    def at(self, t: int) -> float:
        """Return c_t."""
        return self.factors[t % len(self.factors)]

    def power_at(self, t: int) -> float:
        """Return the exponent of the power of two nearest to c_t."""
        return 2.0 ** round(math.log2(self.at(t)))


def check(example: Gauge, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compare one step from the same state at every step, then the whole run with powers of two."""
    setting, worst = example.setting, Worst()
    path, events = [], events_of(setting)
    for step in steps_of(setting, optimizer):
        if not finite(step):
            break
        path.append(step)
        if step.lr > 0 and not _overflows(example, step):
            _one_step(example, step, optimizer, worst)
        elif step.lr > 0:
            events = (*events_of(setting), "a scaled step leaves the range: left out")
    _, skipped = compare(iter(path), _with_powers(example, optimizer), None, example.power_at, setting, worst)
    return worst.outcome(steps=len(path), events=events, skipped=skipped)


def _overflows(example: Gauge, step: Step) -> bool:
    """Return whether the step from c_t w, or its rival, overflows its dtype in lr (g + wd w)."""
    c, c_next = example.at(step.t), example.at(step.t + 1)
    lr, weight_decay = gauge_rates(step.lr, step.weight_decay, c, c_next)
    decay = max(abs(weight_decay), step.lr * step.weight_decay / lr)
    largest = 0.0
    for name, w in step.before.items():
        size, slope = float(w.double().abs().max()) * c, float(step.gradient[name].double().abs().max()) / c
        largest = max(largest, size + max(1.0, lr) * (slope + decay * size))
    return largest > torch.finfo(DTYPES[example.setting.dtype]).max / 2


def _one_step(example: Gauge, step: Step, optimizer: OptimizerFactory, worst: Worst) -> None:
    c, c_next = example.at(step.t), example.at(step.t + 1)
    lr, weight_decay = gauge_rates(step.lr, step.weight_decay, c, c_next)
    # The decay that forgets c_{t+1}: 1 - lr~ wd~ = 1 - lr wd.
    forgetful = step.lr * step.weight_decay / lr
    made = {}
    for name, decay in (("theory", weight_decay), ("rival", forgetful)):
        if name == "theory" or step.t < NEAR:
            made[name], _ = one_step(
                optimizer,
                example.setting.hyper,
                weights={k: w * c for k, w in step.before.items()},
                gradient={k: g / c for k, g in step.gradient.items()},
                state={},
                lr=lr,
                weight_decay=decay,
            )
    for name, after in step.after.items():
        bound = gauged_step_bound(
            step.before[name].double().abs().cpu().numpy(),
            step.gradient[name].double().abs().cpu().numpy(),
            eta=step.lr,
            lam=step.weight_decay,
            c=c,
            c_next=c_next,
            dtype=example.setting.dtype,
        )
        expected = after.double() * c_next
        worst.add(_largest(made["theory"][name], expected, bound), 1.0, group=name, step=step.t)
        if "rival" in made:
            other = made["rival"][name].double()
            size = float(other.norm())
            turned = other * (float(expected.norm()) / size) if size > 0 else other
            worst.add_rival(TEXT.rivals[0], _largest(turned, expected, bound), 1.0)


def _largest(value: Tensor, expected: Tensor, bound: Array) -> float:
    return float(((value.double() - expected).abs() / torch.as_tensor(bound, device=expected.device)).max())


def _with_powers(example: Gauge, optimizer: OptimizerFactory) -> Iterator[Step]:
    """Return the run whose weights are multiplied before each step, from c_{t-1} to c_t, by powers of two."""
    setting, symmetry = example.setting, symmetry_of(OptimizerSpec(name="SGD"))
    steps = max(1, setting.hyper.steps)

    def scaled(schedule: ScheduleSpec, power: int) -> Sequence:
        values = schedule.factors(steps)
        return Sequence(values=tuple(v * example.power_at(t) ** power for t, v in enumerate(values)))

    def prepare(t: int, stepper: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
        if t > 0:
            rescale(stepper, parameters, symmetry, example.power_at(t) / example.power_at(t - 1))

    other = msgspec.structs.replace(
        setting,
        lr_schedule=scaled(setting.lr_schedule, 2),
        decay_schedule=scaled(setting.decay_schedule, -2),
    )
    return steps_of(other, optimizer, weight_factor=example.power_at(0), prepare=prepare)


def _examples() -> SearchStrategy[Gauge]:
    import hypothesis.strategies as st

    factors = st.sampled_from((1.0, 2.0, 0.5, 1.7, 0.3, 10.0, 0.1, 37.0, 0.02))
    return st.builds(
        Gauge,
        setting=settings(momentum=False),
        factors=st.lists(factors, min_size=2, max_size=8).map(tuple),
    )


LAW = ExactLaw(
    text=TEXT,
    example_type=Gauge,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="difference of a step / rounding bound",
)
CLAIM = LAW.claim()
