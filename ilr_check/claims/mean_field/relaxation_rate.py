"""From far above and from far below, the norm comes back to equilibrium at the rate of its recursion."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import line, points
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.noise_references import (
    TrainingSpec,
    TransferReadings,
    TransferRuns,
    run_steps,
)
from ilr_check.claims.mean_field.trainings.transfer import relaxation_rates
from ilr_check.claims.mistakes import too_much_decay
from ilr_check.claims.settings.subjects import DIGITS, subjects
from ilr_check.evidence import ClaimText, Figure
from ilr_check.stats import CurveEquivalence, Rival

Array = NDArray[np.float64]
Starts = dict[float, TransferRuns["Return"]]
"""The runs by where they start: the initial norm in units of about the equilibrium norm."""

TEXT = ClaimText(
    id="relaxation-rate",
    title="The norm returns at the rate that lr * weight_decay sets",
    statement=(
        "A training starts with a weight norm that is three times too large or three times too small. Given "
        "the gradient noise of other runs, gamma = ||w||^4 / lr^2 then returns to its equilibrium at the "
        "rate -4 log(1 - lambda_e) per step, where lambda_e = lr * weight_decay is the intrinsic learning "
        "rate."
    ),
    equation="γ′ = (a²γ + G²)²/γ,  a = 1 − ηλ",
    source="Li, Lyu, Arora 2020, Theorem 5.1; the recursion is its exact form in discrete time",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("rate 2 lambda_e", "rate 8 lambda_e"),
    meaning=(
        "The initial norm is forgotten at another rate than lr * weight_decay sets. Weight decay is applied "
        "more or less often than once a step, or with another factor."
    ),
    blind=(
        "a gradient that is off by one factor in the judged runs and in the noise references, the other runs "
        "whose gradient noise is measured: the size of the gradient is measured there and not predicted."
    ),
)

TOLERANCE = 0.05
"""The tolerance in log(rate). The rivals are log(2) = 0.69 away."""

FACTORS = dict(zip(TEXT.rivals, (0.5, 2.0), strict=True))
"""The rate under each rival, relative to theory."""

MULTIPLES = (3.0, 1.0 / 3.0)
"""Initial norms, in units of about the equilibrium norm."""


class Return(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training with constant settings, in which every tensor starts with the same norm."""

    initial_norm: float = 1.0
    weight_decay: float = 0.032
    length: float = 3.0

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay

    @property
    def steps(self) -> int:
        """The number of steps: ``length`` over lambda_e."""
        return round(self.length / self.intrinsic_lr)

    def schedule(self) -> Array:
        """The LR at each step."""
        return np.full(self.steps, self.lr)

    def decays(self) -> Array:
        """The weight decay at each step."""
        return np.full(self.steps, self.weight_decay)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which curves are drawn."""
        return np.unique(np.linspace(0, self.steps - 1, 40).round().astype(np.intp))

    def started_at(self, multiple: float) -> Return:
        """Return the same training from ``multiple`` times the equilibrium norm for G^2 = 5.

        G is the gradient at unit norm. These nets have G^2 of 1 to 20, so that the multiple is right within
        a factor of 1.5.
        """
        norm = math.sqrt(self.lr) * (5.0 / (2.0 * self.intrinsic_lr)) ** 0.25
        return msgspec.structs.replace(self, initial_norm=multiple * norm)


def experiments(profile: Profile, seed: int) -> list[Return]:
    """Return the reference net on digits with label noise 0.5; beyond ``quick`` also other nets, and
    a small lambda_e."""
    beside = ("residual CNN", "BatchNorm, batch 128")
    found = [Return(**s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)]
    if profile != "quick":
        title = f"{DIGITS.title}, lambda_e as in practice"
        found.append(Return(weight_decay=SMALL, **DIGITS._replace(title=title)._asdict()))
    return found


SMALL = 0.0006
"""The weight decay of lambda_e = 3e-4. It takes 10 000 steps from either start, so 64 runs take 2.6 million
run-steps: about 75 seconds of one core."""


def trained(base: Return, lab: Lab) -> Starts:
    """Return the runs from above and from below.

    Each start has a lab of its own, so that both use the same seeds. A row of the sample is one seed.
    """
    starts = {multiple: base.started_at(multiple) for multiple in MULTIPLES}
    return {m: TransferRuns(start, lab.part(run_steps(start))) for m, start in starts.items()}


def design(base: Return, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for both rates at once, against -4 log(1 - lambda_e)."""
    return CurveEquivalence(
        estimand="log(relaxation rate of the norm / theory), from above and from below",
        points=len(MULTIPLES),
        margin=(-TOLERANCE, TOLERANCE),
        margin_reason=f"tolerance {TOLERANCE}; the fit uses the recursion, which leaves nothing out",
        rivals=tuple(
            Rival(name=name, expected=(math.log(factor),) * len(MULTIPLES))
            for name, factor in FACTORS.items()
        ),
        looks=base.looks,
        false_fail=alpha,
        sd=base.planned_sd,
    )


def rates(starts: Starts, part: Part, n: int) -> Array:
    """Return log(rate / theory) of each pair of a judged run and a noise reference, [n, starts]."""
    return np.stack([_rates(runs, part.tensors, n) for runs in starts.values()], axis=1)


def _rates(runs: TransferRuns[Return], tensors: tuple[str, ...], n: int) -> Array:
    base = runs.training
    return relaxation_rates(
        runs.judged.gather(n, lambda trace: trace.group(tensors).norm2),
        runs.noise_reference.gather(n, lambda trace: trace.group(tensors).unit_grad2),
        lr=base.lr,
        intrinsic_lr=base.intrinsic_lr,
        start2=base.initial_norm**2 * len(tensors),
    )


def _figure(seen: Examined[Return, Starts]) -> Figure:
    series = []
    t = seen.spec.grid() * seen.spec.intrinsic_lr
    for multiple, runs in seen.runs.items():
        readings = TransferReadings(runs, seen.tensors)
        where, role = ("above", "measured") if multiple > 1 else ("below", "control")
        mean = np.exp(readings.log_effective_lr(seen.n).mean(axis=0))
        series += [
            line(f"prediction from {where}", "predicted", t, np.exp(readings.log_predicted(seen.n))),
            points(f"measured from {where}, mean of the runs", role, t, mean),
        ]
    return Figure(
        name="",
        title="",
        x_label="steps x lambda_e",
        y_label="effective LR, lr / norm squared",
        y_log=True,
        series=tuple(series),
        caption=(
            "Norms that start three times too large or too small meet at equilibrium. The lines are "
            "predicted from the gradient noise of other runs. The fitted rate of the return is judged."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Return,
    experiments=experiments,
    run_steps=lambda base: len(MULTIPLES) * run_steps(base),
    trained=trained,
    design=design,
    mistakes=lambda base, part: (too_much_decay(lambda factor: (math.log(factor),) * len(MULTIPLES)),),
    sample=rates,
    steps=lambda base, part: len(MULTIPLES) * base.steps,
    figure=_figure,
)
CLAIM = LAW.claim()
