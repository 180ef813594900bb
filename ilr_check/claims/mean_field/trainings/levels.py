"""Claims about equilibrium at several levels of the hyper-parameters, which are judged all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Profile
from ilr_check.claims.figures import band, interval, line, points
from ilr_check.claims.law import Departure, Examined, Part, StatisticalLaw, invariant_groups
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, EquilibriumRuns
from ilr_check.claims.mean_field.trainings.limits import (
    approaches_zero,
    intercept_weights,
    limit_design,
    local_exponents,
)
from ilr_check.claims.mistakes import Mistake, too_much_decay
from ilr_check.evidence import ClaimText, Figure
from ilr_check.evidence.records import Form, Premise
from ilr_check.stats import CurveEquivalence, Design, Rival

Array = NDArray[np.float64]

EDGE = 8.0
"""A figure ends this many margins away from theory, so that its margin stays wide enough to see."""

LIMIT = "the limit lambda_e = 0"


@dataclass(frozen=True, kw_only=True)
class LevelQuestion:
    """The question that a claim about levels asks; ``law`` makes it a statistical law.

    ``deviations`` gives log(measured / theory) to first order, one independent row a run, [n, points];
    ``points`` names the columns by the number at which they are drawn. ``rivals`` give their own deviations
    from theory at the points, ``corrections`` the finite-size terms of the margin and their words.
    """

    text: ClaimText
    experiments: Callable[[Profile, int], Sequence[Equilibrium]]
    deviations: Callable[[EquilibriumRuns, tuple[str, ...], int], Array]
    points: Callable[[Equilibrium], tuple[float, ...]]
    rivals: Callable[[Equilibrium], Mapping[str, Sequence[float]]]
    corrections: Callable[[Equilibrium], tuple[float, str]]
    tolerance: float
    estimand: str
    x_label: str
    caption: str
    mistakes: Callable[[Equilibrium], Sequence[Mistake]] = lambda spec: (decayed_norm(len(spec.levels)),)
    """Kinds of mistakes at all points, for the near rival; by default for deviations of the norm."""
    departures: Sequence[Departure[Equilibrium]] = ()
    populations: int = 2
    form: Form = "transfer"
    words: Callable[[EquilibriumRuns, tuple[str, ...], int], str] | None = None
    """Words for the record, beside the settings of the levels."""
    premises: Callable[[EquilibriumRuns, tuple[str, ...], int], tuple[Premise, ...]] | None = None
    """What the law presupposes of the judged runs, except in the limit lambda_e = 0."""
    presupposes: str = ""
    raw: Callable[[Examined[Equilibrium, EquilibriumRuns], Finding], Finding] | None = None
    """The paper's wording about the same runs, with a verdict of its own."""
    limit_rivals: Mapping[str, float] | None = None
    """What rivals expect at lambda_e = 0, for a law that is judged there too if its levels reach so far."""

    def law(self) -> StatisticalLaw[Equilibrium, EquilibriumRuns]:
        """Return the statistical law that asks this."""
        return StatisticalLaw(
            text=self.text,
            spec=Equilibrium,
            experiments=self.experiments,
            run_steps=lambda spec: self.populations * spec.looks[0] * spec.steps_of_all(),
            trained=EquilibriumRuns,
            parts=self._parts,
            design=self._design,
            mistakes=lambda spec, part: (decayed_norm(),) if part.what == LIMIT else self.mistakes(spec),
            departures=self.departures,
            sample=self._sample,
            steps=lambda spec, part: spec.steps_of_all(),
            form=lambda spec, part: "transfer" if part.what == LIMIT else self.form,
            message=self._message,
            figure=self._figure,
            premises=self._premises,
            presupposes=self.presupposes,
            findings=self._findings,
        )

    def _parts(self, spec: Equilibrium) -> tuple[Part, ...]:
        limit = self.limit_rivals is not None and approaches_zero(spec.levels)
        parts = []
        for part in invariant_groups(spec):
            parts.append(part)
            if limit:
                parts.append(replace(part, what=LIMIT, name=f"{part.group}, extrapolated to 0"))
        return tuple(parts)

    def _sample(self, runs: EquilibriumRuns, part: Part, n: int) -> Array:
        rows = self.deviations(runs, part.tensors, n)
        return rows @ intercept_weights(runs.experiment.levels) if part.what == LIMIT else rows

    def _design(self, spec: Equilibrium, part: Part, alpha: float) -> Design:
        if part.what == LIMIT:
            return limit_design(spec, self.limit_rivals or {}, alpha)
        corrections, words = self.corrections(spec)
        room = self.tolerance + corrections
        return CurveEquivalence(
            estimand=self.estimand,
            points=len(self.points(spec)),
            margin=(-room, room),
            margin_reason=f"{words} {corrections:.3f} + tolerance {self.tolerance}",
            rivals=tuple(
                Rival(name=name, expected=tuple(float(v) for v in values))
                for name, values in self.rivals(spec).items()
            ),
            looks=spec.looks,
            false_fail=alpha,
            sd=spec.planned_sd,
        )

    def _message(self, seen: Examined[Equilibrium, EquilibriumRuns]) -> str:
        if seen.part.what == LIMIT:
            return f"levels of lambda_e: {', '.join(f'{x.intrinsic_lr:.2g}' for x in seen.spec.levels)}"
        told = ["; ".join(level.words() for level in seen.spec.levels)]
        return ". ".join(told + ([self.words(seen.runs, seen.tensors, seen.n)] if self.words else []))

    def _premises(self, seen: Examined[Equilibrium, EquilibriumRuns]) -> tuple[Premise, ...]:
        if self.premises is None or seen.part.what == LIMIT:
            return ()
        return self.premises(seen.runs, seen.tensors, seen.n)

    def _findings(self, seen: Examined[Equilibrium, EquilibriumRuns], main: Finding) -> tuple[Finding, ...]:
        if seen.part.what != LIMIT:
            return (main,) if self.raw is None else (main, self.raw(seen, main))
        about = {**seen.about(), "n_steps": main.n_steps}
        return (main, local_exponents(seen.runs, seen.tensors, seen.n, **about))

    def _figure(self, seen: Examined[Equilibrium, EquilibriumRuns]) -> Figure:
        at = np.array(self.points(seen.spec))
        order = np.argsort(at)
        x, found = at[order], seen.decision.band
        settings = np.array_equal(x, np.arange(1.0, len(x) + 1.0))
        assert found is not None
        room = seen.decision.margin_high or 0.0
        ones = np.ones(len(x))
        draw = points if settings else line

        def told(values: Any) -> Array:
            return np.exp(np.asarray(values, dtype=np.float64)[order])

        return Figure(
            name="",
            title="",
            x_label=self.x_label,
            y_label="measured / theory",
            x_log=not settings,
            y_log=True,
            series=(
                band("margin", "margin", x, np.exp(-room) * ones, np.exp(room) * ones),
                line("theory", "predicted", x, ones),
                interval(
                    "measured, with its interval", x, told(found.estimate), told(found.low), told(found.high)
                ),
                *(
                    draw(f"rival: {name}", "rival", x, told(np.clip(values, -EDGE * room, EDGE * room)))
                    for name, values in self.rivals(seen.spec).items()
                ),
            ),
            caption=(
                f"{self.caption} Every point must lie in the margin with its whole interval. A rival that is "
                f"farther away than {EDGE:g} margins is drawn there."
            ),
        )


def norm_deviations(runs: EquilibriumRuns, tensors: tuple[str, ...], n: int) -> Array:
    """Return (1 - r^4 / (gain G^2)) / 2 for every level: to first order log(effective LR / prediction).

    G^2 is that of the noise references. r^4 is linear in the noise, so that its mean over runs follows the
    mean noise. The prediction is linear in it too, so that the noise of a reference is its pseudo-value. The
    first run is paired with the last reference: what is wrong with the same runs of both must not cancel.
    """
    columns = []
    for level in runs.experiment.levels:
        predicted = level.gain * runs.window("noise reference", level, tensors, n).unit_grad2
        fourth = runs.window("judged", level, tensors, n).fourth_power
        columns.append(0.5 * (predicted[::-1] - fourth) / predicted.mean())
    return np.stack(columns, axis=1)


def norm_rival(gain: float, rival_gain: float) -> float:
    """Return the r^4 / G^2 of a rival on the scale of ``norm_deviations``."""
    return 0.5 * (1.0 - rival_gain / gain)


def decayed_norm(points: int = 0) -> Mistake:
    """Return the mistake of too much decay, on the scale of ``norm_deviations``: r^4 falls by its factor.

    It is one number where there are no ``points``.
    """

    def effect(factor: float) -> float | tuple[float, ...]:
        gap = norm_rival(1.0, 1.0 / factor)
        return (gap,) * points if points else gap

    return too_much_decay(effect)


def finite_lambda(experiment: Equilibrium) -> tuple[float, str]:
    """Return 2 lambda_e of the largest level, for the term of the recursion that is not linear in the noise.

    It moves gamma* by lambda_e Var(G^2)/E(G^2)^2 and the effective LR by half of that; see sqrt-recovery.
    """
    return 2.0 * max(level.intrinsic_lr for level in experiment.levels), "finite lambda_e (2 lambda_e)"
