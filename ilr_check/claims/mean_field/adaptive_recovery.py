"""How far the relative update of an adaptive optimizer recovers after the LR is divided by k.

It ends at k^(-1/2) of its old value with AdamW and Lion, and at k^(-2/3) with L2 inside Adam.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import band, line, points
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw, judged_groups
from ilr_check.claims.mean_field.adaptive_equilibrium import coordinates, equilibrium
from ilr_check.claims.mean_field.trainings.equilibrium import Level
from ilr_check.claims.mean_field.trainings.noise_references import TransferRuns, run_steps
from ilr_check.claims.mistakes import wrong_exponent
from ilr_check.claims.settings.subjects import FILTERS, NOISE, ONE_LAYER
from ilr_check.data import DataSpec, DigitsSpec, TangentNoise
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import CurveEquivalence, Design, Rival
from ilr_check.theory.adaptive import adam_l2_drop, decoupled_drop

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="adaptive-recovery",
    title="Under noise AdamW and Lion recover further than Adam with L2",
    statement=(
        "Dividing the LR by k divides the relative update lr / ||w|| by k at once. With decoupled weight "
        "decay it recovers to k^(-1/2) of its old value, at the rate 2 * lr * weight_decay per step. With an "
        "L2 penalty inside Adam it recovers to k^(-2/3) only. This is shown with noise that dominates the "
        "gradient."
    ),
    equation="η/‖w‖ relative: [k + (k² − k) e^(−2ηλt)]^(−1/2);  Adam with L2 ends at k^(−2/3)",
    source="Kosson et al. 2024 for the equilibria; the curves follow from them",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("the other family's exponent", "1/k: it never recovers"),
    meaning=(
        "Weight decay is inside the gradient where it should be outside, or the reverse, or it does not "
        "follow the LR of the schedule."
    ),
    blind=(
        "how the weights turn, since only the norm is read; nets of several layers; and trainings in which "
        "noise does not dominate the gradient."
    ),
)

TOLERANCE = 0.04
WINDOW = 400
"""The mean norm of this many steps before the drop is the old level. The steps before them forget that every
run starts with empty moments, whose updates are not yet correlated with the weights."""
FLUCTUATION = 0.02
"""1 - beta2. The fluctuation of the second moment v adds at most this much, and may add it after the drop
only."""


class AdaptiveDrop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of one adaptive optimizer at its equilibrium, dominated by noise, with one LR drop."""

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
        """Return the log of the relative update over its value before the drop, in theory, at the grid."""
        level, k, since, count = self.level, self.factor, self.grid() - self.before, coordinates(self.net)
        if level.rule == "adam":
            path = adam_l2_drop(k, level.lr, level.weight_decay, count, NOISE.size, self.after)
        else:
            smaller = msgspec.structs.replace(level, lr=level.lr / k)
            old, new = (equilibrium(x, count)[0] for x in (level, smaller))
            path = decoupled_drop(k, old, new, smaller.lr * smaller.weight_decay, self.after)
        return np.asarray(np.log(path[since]))

    def ending_at(self, power: float) -> Array:
        """Return a curve that leaves 1/k as the curve of the theory does, and ends at k^power."""
        theory, bottom = self.log_curve(), -math.log(self.factor)
        return np.asarray(bottom + (theory - bottom) * (power + 1.0) / (self.power + 1.0))

    @property
    def power(self) -> float:
        """The power of k at which the relative update ends in theory."""
        return -2.0 / 3.0 if self.level.rule == "adam" else -0.5


def experiments(profile: Profile, seed: int) -> list[AdaptiveDrop]:
    """Return AdamW, Lion, and Adam with L2; beyond ``quick`` also on another net."""
    betas = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-12}
    levels: dict[str, Level] = {
        "AdamW": Level(lr=0.02, weight_decay=0.2, rule="adamw", hyper=betas),
        "Lion": Level(lr=0.004, weight_decay=1.0, rule="lion", hyper={"beta1": 0.9, "beta2": 0.98}),
        "Adam with L2": Level(lr=0.02, weight_decay=0.05, rule="adam", hyper=betas),
    }
    nets: dict[str, NetSpec] = {"": ONE_LAYER}
    if profile != "quick":
        nets["filters, "] = FILTERS
    return [
        AdaptiveDrop(
            title=f"control: {words}{name}, dominated by noise",
            level=level,
            net=net,
            initial_norm=math.sqrt(equilibrium(level, coordinates(net))[0]),
        )
        for words, net in nets.items()
        for name, level in levels.items()
    ]


def the_layer(drop: AdaptiveDrop) -> tuple[Part, ...]:
    """Return the one group of the net."""
    ((group, tensors),) = judged_groups(drop.net).items()
    return (Part(f"{drop.title}, {group}", tensors, figure=group),)


def trained(drop: AdaptiveDrop, lab: Lab) -> TransferRuns[AdaptiveDrop]:
    """Return the runs of this optimizer."""
    return TransferRuns(drop, lab, rule=drop.level.rule, hyper=drop.level.hyper)


def design(drop: AdaptiveDrop, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for the whole curve after the drop, against the closed form."""
    room = TOLERANCE + FLUCTUATION
    other = -0.5 if drop.level.rule == "adam" else -2.0 / 3.0
    return CurveEquivalence(
        estimand="log(relative update / value before the drop) less the curve in theory",
        points=len(drop.grid()),
        margin=(-room, room),
        margin_reason=f"fluctuation of v (1 - beta2) {FLUCTUATION} + tolerance {TOLERANCE}",
        rivals=tuple(
            Rival(name=name, expected=tuple((drop.ending_at(power) - drop.log_curve()).tolist()))
            for name, power in zip(TEXT.rivals, (other, -1.0), strict=True)
        ),
        looks=drop.looks,
        false_fail=alpha,
        sd=drop.planned_sd,
    )


def deviations(runs: TransferRuns[AdaptiveDrop], part: Part, n: int) -> Array:
    """Return each run's log relative update less the curve of the theory, [n, points]."""
    return _log_relative(runs, part.tensors, n) - runs.training.log_curve()


def _log_relative(runs: TransferRuns[AdaptiveDrop], tensors: tuple[str, ...], n: int) -> Array:
    """Return the log of lr/r at the grid over its mean before the drop, run by run, [n, points]."""
    drop = runs.training

    def norms(steps: Any) -> Array:
        return runs.judged.gather(n, lambda trace: 0.5 * np.log(trace.group(tensors).norm2[steps]))

    before = norms(slice(drop.before - WINDOW, drop.before)).mean(axis=0)
    return np.asarray((before - norms(drop.grid())).T - math.log(drop.factor))


def _at_the_end(drop: AdaptiveDrop, part: Part, design: Design) -> dict[str, float]:
    return {rival.name: float(np.asarray(rival.expected)[-1]) for rival in design.rivals}


def _figure(seen: Examined[AdaptiveDrop, TransferRuns[AdaptiveDrop]]) -> Figure:
    drop, room = seen.spec, seen.decision.margin_high or 0.0
    t, curve = drop.grid() - drop.before, drop.log_curve()
    measured = _log_relative(seen.runs, seen.tensors, seen.n).mean(axis=0)
    return Figure(
        name="",
        title=drop.title,
        x_label="steps after the LR drop",
        y_label="relative update, over its value before",
        y_log=True,
        series=(
            band("margin around theory", "margin", t, np.exp(curve - room), np.exp(curve + room)),
            line("theory", "predicted", t, np.exp(curve)),
            points("measured, mean of the runs", "measured", t, np.exp(measured)),
            *(
                line(f"rival: {rival.name}", "rival", t, np.exp(curve + np.asarray(rival.expected)))
                for rival in seen.design.rivals
            ),
        ),
        caption=(
            "The LR is divided by 4 at step 0, and so is the relative update lr/||w||. It recovers as the "
            "norm shrinks. Where it ends tells decoupled weight decay from weight decay inside the gradient."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=AdaptiveDrop,
    experiments=experiments,
    run_steps=run_steps,
    trained=trained,
    parts=the_layer,
    form="prediction",
    design=design,
    mistakes=lambda drop, part: (
        wrong_exponent(drop.power, lambda power: (drop.ending_at(power) - drop.log_curve()).tolist()),
    ),
    sample=deviations,
    steps=lambda drop, part: drop.steps,
    rival_values=_at_the_end,
    figure=_figure,
)
CLAIM = LAW.claim()
