"""After an LR drop by k the relative update ends at k^(-1/2) with AdamW and Lion, k^(-2/3) with Adam + L2."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field.adaptive_equilibrium import coordinates, equilibrium
from ilr_check.claims.mean_field.trainings.equilibrium import Level
from ilr_check.claims.mean_field.trainings.noise_references import TransferReadings, TransferRuns, run_steps
from ilr_check.claims.populations import file_name, finding_of, judged_groups
from ilr_check.claims.settings.subjects import FILTERS, NOISE, ONE_LAYER
from ilr_check.data import DataSpec, DigitsSpec, TangentNoise
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import CurveEquivalence, Decision, Examination, Rival, examine
from ilr_check.theory.adaptive import adam_l2_drop, decoupled_drop

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="adaptive-recovery",
    title="Recovery of adaptive optimizers",
    statement=(
        "Dropping the LR by k drops the relative update lr/||w|| by k at once. With decoupled decay it "
        "recovers to k^(-1/2) at the rate 2*lr*wd; with L2 inside Adam to k^(-2/3) only."
    ),
    equation="η/‖w‖ relative: [k + (k² − k) e^(−2ηλt)]^(−1/2);  Adam with L2 ends at k^(−2/3)",
    source="Kosson et al. 2024 for the equilibria; the curves follow from them",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("the other family's exponent", "1/k: it never recovers"),
    meaning=(
        "Decay is coupled the other way: inside the gradient where it should be outside, or the reverse; or "
        "it does not scale with the LR of the schedule."
    ),
    blind="how the weights turn: the norm alone is read, of one layer, with noise that drowns the gradient.",
)

TOLERANCE = 0.04
WINDOW = 400
"""Steps before the drop whose norm is the old level. The ones before them forget that every run starts with
empty moments, whose updates are not correlated with the weights yet."""
FLUCTUATION = 0.02
"""1 - beta2: what the fluctuation of v adds to an equilibrium, and may add after the drop only."""


class AdaptiveDrop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of one adaptive optimizer from its equilibrium, with one LR drop, dominated by noise."""

    title: str
    level: Level
    initial_norm: float
    net: NetSpec = ONE_LAYER
    data: DataSpec = DigitsSpec()
    before: int = 1000
    after: int = 2500
    factor: float = 4.0
    batch_size: int = 32
    noise: TangentNoise | None = NOISE
    planned_sd: float | None = 0.03
    looks: tuple[int, ...] = (64, 128)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.before + self.after

    def schedule(self) -> Array:
        """The LR at each step."""
        lr = self.level.lr
        return np.where(np.arange(self.steps) < self.before, lr, lr / self.factor)

    def decays(self) -> Array:
        """The weight decay at each step."""
        return np.full(self.steps, self.level.weight_decay)

    def grid(self) -> NDArray[np.intp]:
        """Steps after the drop at which curves are compared."""
        return np.unique(np.linspace(self.before, self.steps - 1, 16).round().astype(np.intp))

    def log_curve(self) -> Array:
        """log relative update over its value before the drop, at the grid, in theory."""
        level, k, since, count = self.level, self.factor, self.grid() - self.before, coordinates(self.net)
        if level.rule == "adam":
            path = adam_l2_drop(k, level.lr, level.weight_decay, count, NOISE.size, self.after)
        else:
            smaller = msgspec.structs.replace(level, lr=level.lr / k)
            old, new = (equilibrium(x, count)[0] for x in (level, smaller))
            path = decoupled_drop(k, old, new, smaller.lr * smaller.weight_decay, self.after)
        return np.asarray(np.log(path[since]))

    def ending_at(self, power: float) -> Array:
        """A curve that leaves 1/k as theory's does and ends at k^power."""
        theory, bottom = self.log_curve(), -math.log(self.factor)
        own = -2.0 / 3.0 if self.level.rule == "adam" else -0.5
        return np.asarray(bottom + (theory - bottom) * (power + 1.0) / (own + 1.0))


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """AdamW, Lion, and Adam with L2; on another net too beyond ``quick``."""
    betas = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-12}
    levels: dict[str, Level] = {
        "AdamW": Level(lr=0.02, weight_decay=0.2, rule="adamw", hyper=betas),
        "Lion": Level(lr=0.004, weight_decay=1.0, rule="lion", hyper={"beta1": 0.9, "beta2": 0.98}),
        "Adam with L2": Level(lr=0.02, weight_decay=0.05, rule="adam", hyper=betas),
    }
    nets: dict[str, NetSpec] = {"": ONE_LAYER}
    if profile != "quick":
        nets["filters, "] = FILTERS
    drops = [
        AdaptiveDrop(
            title=f"control: {words}{name}, dominated by noise",
            level=level,
            net=net,
            initial_norm=math.sqrt(equilibrium(level, coordinates(net))[0]),
        )
        for words, net in nets.items()
        for name, level in levels.items()
    ]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {drop.title}",
            subject=msgspec.to_builtins(drop),
            decisions=(f"{TEXT.id}/{drop.title}",),
        )
        for drop in drops
    )


def judge(subject: dict[str, Any], context: Context) -> Judged:
    """Judge one optimizer's curve."""
    drop = msgspec.convert(subject, type=AdaptiveDrop)
    runs = TransferRuns(drop, Lab(context, run_steps(drop)), rule=drop.level.rule, hyper=drop.level.hyper)
    ((group, tensors),) = judged_groups(drop.net).items()
    readings = TransferReadings(runs, tensors)
    examination = _examine(readings, context.alpha(f"{TEXT.id}/{drop.title}"))
    n = examination.runs_used
    figures = (_figure(readings, n, examination.decision),) if n else ()
    finding: Finding = finding_of(
        examination,
        form="raw",
        group=f"{drop.title}, {group}",
        subject=subject,
        n_steps=drop.steps if n else 0,
        figure=figures[0].name if figures else "",
        rival_values={r.name: float(np.asarray(r.expected)[-1]) for r in _rivals(drop)},
    )
    return Judged((finding,), figures)


def _examine(readings: TransferReadings[AdaptiveDrop], alpha: float) -> Examination:
    drop = readings.training
    room = TOLERANCE + FLUCTUATION
    design = CurveEquivalence(
        estimand="log(relative update / value before the drop) less the curve in theory",
        points=len(drop.grid()),
        margin=(-room, room),
        margin_reason=f"fluctuation of v (1 - beta2) {FLUCTUATION} + tolerance {TOLERANCE}",
        rivals=_rivals(drop),
        looks=drop.looks,
        false_fail=alpha,
        sd=drop.planned_sd,
    )
    return examine(design, partial(_deviations, readings))


def _deviations(readings: TransferReadings[AdaptiveDrop], n: int) -> Array:
    return _log_relative(readings, n) - readings.training.log_curve()


def _log_relative(readings: TransferReadings[AdaptiveDrop], n: int) -> Array:
    """log of lr/r at the grid over its mean before the drop, run by run, [n, points]."""
    drop, tensors = readings.training, readings.tensors

    def norms(part: Any) -> Array:
        return readings.runs.judged.gather(n, lambda trace: 0.5 * np.log(trace.group(tensors).norm2[part]))

    before = norms(slice(drop.before - WINDOW, drop.before)).mean(axis=0)
    return np.asarray((before - norms(drop.grid())).T - math.log(drop.factor))


def _rivals(drop: AdaptiveDrop) -> tuple[Rival, ...]:
    other = -0.5 if drop.level.rule == "adam" else -2.0 / 3.0
    return tuple(
        Rival(name=name, expected=tuple((drop.ending_at(power) - drop.log_curve()).tolist()))
        for name, power in zip(TEXT.rivals, (other, -1.0), strict=True)
    )


def _figure(readings: TransferReadings[AdaptiveDrop], n: int, decision: Decision) -> Figure:
    drop = readings.training
    t = (drop.grid() - drop.before).astype(float)
    curve, measured = drop.log_curve(), _log_relative(readings, n)
    room = decision.margin_high or 0.0

    def series(name: str, kind: Any, role: Any, y: Array) -> Series:
        return Series(name=name, kind=kind, role=role, x=t, y=np.exp(y))

    return Figure(
        name=file_name(TEXT.id, drop.title),
        title=drop.title,
        x_label="steps after the LR drop",
        y_label="relative update, over its value before",
        y_log=True,
        series=(
            Series(
                name="margin around theory",
                kind="band",
                role="margin",
                x=t,
                low=np.exp(curve - room),
                high=np.exp(curve + room),
            ),
            series("theory", "line", "predicted", curve),
            series("measured, mean of the runs", "points", "measured", measured.mean(axis=0)),
            *(
                series(f"rival: {rival.name}", "line", "rival", curve + np.asarray(rival.expected))
                for rival in _rivals(drop)
            ),
        ),
        caption=(
            "The LR falls by 4 at step 0, and the relative update lr/||w|| with it. It recovers as the norm "
            "shrinks, and where it ends tells decoupled decay from decay inside the gradient."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
