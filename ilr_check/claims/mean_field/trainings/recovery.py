"""How the effective LR follows a change of lr or weight decay, judged in all forms; three claims use it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Profile
from ilr_check.claims.figures import along_prediction, line
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.identities import immediate_drop, longest_sum, norm_identity
from ilr_check.claims.mean_field.trainings.lr_drop import Drop, DropReadings
from ilr_check.claims.mean_field.trainings.noise_references import TransferRuns, run_steps
from ilr_check.claims.mean_field.trainings.raw import judge_raw_ratio
from ilr_check.claims.mistakes import too_much_decay
from ilr_check.evidence import ClaimText, Figure
from ilr_check.evidence.records import Premise
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.theory.relaxation import change_curve_discrete

Array = NDArray[np.float64]
Seen = Examined[Drop, TransferRuns[Drop]]

TOLERANCE = 0.04
"""The tolerance beyond the derived corrections, in log effective LR. The rivals end 0.38 to 2.3 away."""

CONSTANT_NOISE = 0.04
"""The largest change of log G^2 with which the noise of the control counts as constant.

It changes the log effective LR by half of that, which is half of the tolerance.
"""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """A claim about one change of lr or weight decay.

    ``ends`` gives the end of the effective LR under each rival of ``text``, relative to its old value.
    ``jumps`` gives other factors by which it might fall in the step of the change.
    """

    text: ClaimText
    drops: Callable[[Profile, int], Sequence[Drop]]
    """(profile, seed) -> what is trained."""
    ends: Callable[[Drop], tuple[float, ...]]
    jumps: Callable[[Drop], Mapping[str, float]]
    caption: str

    def law(self) -> StatisticalLaw[Drop, TransferRuns[Drop]]:
        """Return the statistical law of this claim."""
        return StatisticalLaw(
            text=self.text,
            spec=Drop,
            experiments=self.drops,
            run_steps=run_steps,
            trained=TransferRuns,
            design=self._design,
            sample=_sample,
            steps=lambda drop, part: drop.steps,
            form=lambda drop, part: "prediction" if drop.noise else "transfer",
            message=lambda seen: _words(_readings(seen), seen.n),
            figure=self._figure,
            mistakes=lambda drop, part: (too_much_decay(lambda factor: _decayed(drop, factor)),),
            rival_values=lambda drop, part, design: self._at_the_end(drop),
            premises=_premises,
            presupposes=(
                f"in the control, the noise of a training keeps its trace: the logarithm of its change is at "
                f"most {CONSTANT_NOISE:g}."
            ),
            findings=self._findings,
        )

    def _design(self, drop: Drop, part: Part, alpha: float) -> CurveEquivalence:
        """Return the design for the curve of log effective LR; the control's is that for constant noise."""
        t = _judged_times(drop)
        corrections = 2.0 * _largest_intrinsic_lr(drop)
        return CurveEquivalence(
            estimand=(
                "log(effective LR / value before the change) less the curve for constant noise"
                if drop.noise
                else "effective LR / prediction from other runs' noise, less 1 (half the deviation of gamma)"
            ),
            points=len(t),
            margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
            # gamma' = a^4 gamma + 2 a^2 G^2 + G^4/gamma: only the last term is not linear in the noise. It
            # moves gamma* by lambda_e V, V = Var(G^2)/E(G^2)^2, and the effective LR by half of that. Steps
            # of these nets have V = 0.05 to 0.5; 2 lambda_e allows for V = 4.
            margin_reason=f"finite lambda_e {corrections:.3f} (2 lambda_e) + tolerance {TOLERANCE}",
            rivals=self._rivals(drop, t, of_gamma=not drop.noise),
            looks=drop.looks,
            false_fail=alpha,
            sd=drop.planned_sd,
        )

    def _findings(self, seen: Seen, main: Finding) -> tuple[Finding, ...]:
        drop, readings = seen.spec, _readings(seen)
        terms, traces = longest_sum(drop.net, seen.tensors), readings.traces(seen.n)
        found = (
            immediate_drop(
                traces,
                step=drop.before,
                factor=drop.factor,
                rivals=self.jumps(drop),
                terms=terms,
                **seen.about(),
            ),
            norm_identity(traces, terms=terms, **seen.about()),
            main,
        )
        return found if drop.noise else (*found, self._raw(seen))

    def _rivals(self, drop: Drop, t: NDArray[np.intp], *, of_gamma: bool = False) -> tuple[Rival, ...]:
        """Return each rival's log curve less the theory's, both for constant noise, t steps after the change.

        ``of_gamma`` puts them on the scale (1 - gamma / predicted gamma) / 2.
        """
        since = np.maximum(t, 0)
        forget = np.exp(-4.0 * drop.intrinsic_lr / drop.intrinsic_factor * since)
        theory = np.log(_ideal(drop))[since]

        def ending_at(end: float) -> tuple[float, ...]:
            curve = -0.5 * np.log(end**-2 + (drop.factor**2 - end**-2) * forget)
            gap = np.where(t >= 0, curve - theory, 0.0)
            return _scaled(gap, of_gamma=of_gamma)

        return tuple(
            Rival(name=name, expected=ending_at(end))
            for name, end in zip(self.text.rivals, self.ends(drop), strict=True)
        )

    def _at_the_end(self, drop: Drop) -> dict[str, float]:
        """Return where each rival stands at the end of training, on the scale of the judged deviation."""
        last = drop.grid()[-1:] - drop.before
        rivals = self._rivals(drop, last, of_gamma=not drop.noise)
        return {rival.name: np.asarray(rival.expected).item() for rival in rivals}

    def _raw(self, seen: Seen) -> Finding:
        """Judge the paper's wording: where the effective LR ends, relative to its value before."""
        drop, readings = seen.spec, _readings(seen)
        return judge_raw_ratio(
            readings.log_end(seen.n) - readings.log_before(seen.n),
            theory=drop.intrinsic_factor**-0.5,
            margin=TOLERANCE + 2.0 * _largest_intrinsic_lr(drop),
            quantity="effective LR at the end / before the change",
            explanation=(
                f"G^2 changed by a factor {readings.noise_change(seen.n):.3f}; {_words(readings, seen.n)}"
            ),
            rivals=dict(zip(self.text.rivals, self.ends(drop), strict=True)),
            n_steps=drop.steps,
            **seen.about(),
        )

    def _figure(self, seen: Seen) -> Figure:
        drop, readings = seen.spec, _readings(seen)
        steps = drop.grid() - drop.before
        t, k = steps.astype(float), drop.intrinsic_factor
        level = float(readings.log_before(seen.n).mean())
        if drop.noise:
            prediction = np.where(steps >= 0, np.log(_ideal(drop))[np.maximum(steps, 0)], 0.0)
        else:
            prediction = readings.log_predicted(seen.n) - level
        return Figure(
            name="",
            title="",
            x_label="steps after the change",
            y_label="effective LR / its value before the change",
            y_log=True,
            series=(
                *along_prediction(
                    t,
                    readings.log_effective_lr(seen.n) - level,
                    prediction,
                    seen.decision.margin_high or 0.0,
                    source="constant noise" if drop.noise else "other runs' noise",
                    rivals={r.name: np.asarray(r.expected) for r in self._rivals(drop, steps)},
                ),
                line(f"1/sqrt({k:g})", "reference", t, np.full(len(t), k**-0.5)),
            ),
            caption=(
                f"{self.caption} The points must stay in the margin around the prediction; each "
                "rival leaves it."
            ),
        )


def _readings(seen: Seen) -> DropReadings:
    return DropReadings(seen.runs, seen.tensors)


def _judged_times(drop: Drop) -> NDArray[np.intp]:
    """Return the judged steps, counted from the change; the control is judged from the change on."""
    t = drop.grid() - drop.before
    return t[t >= 0] if drop.noise else t


def _sample(runs: TransferRuns[Drop], part: Part, n: int) -> Array:
    """Return the deviation from the predicted curve of log effective LR, [n, points]."""
    drop, readings = runs.training, DropReadings(runs, part.tensors)
    if not drop.noise:
        return readings.deviations(n)
    t = _judged_times(drop)
    judged = readings.log_effective_lr(n)[:, -len(t) :]
    return np.asarray(judged - readings.log_before(n)[:, None] - np.log(_ideal(drop))[t])


def _premises(seen: Seen) -> tuple[Premise, ...]:
    """The raw law presupposes noise of constant trace; the control is built so that it has it."""
    if not seen.spec.noise:
        return ()
    change = math.log(_readings(seen).noise_change(seen.n))
    return (Premise.within("noise of constant trace: log of its change", change, CONSTANT_NOISE),)


def _decayed(drop: Drop, factor: float) -> tuple[float, ...]:
    """Return the gap to theory, at the judged steps, under a decay too strong by ``factor`` after the change.

    Then gamma forgets as many times faster and ends as many times lower, both for constant noise.
    """
    t = _judged_times(drop)
    since = np.maximum(t, 0)

    def log_curve(stronger: float) -> Array:
        rate, end = stronger * drop.intrinsic_lr / drop.intrinsic_factor, drop.intrinsic_factor / stronger
        return np.asarray(-0.5 * np.log(end + (drop.factor**2 - end) * np.exp(-4.0 * rate * since)))

    gap = np.where(t >= 0, log_curve(factor) - log_curve(1.0), 0.0)
    return _scaled(gap, of_gamma=not drop.noise)


def _scaled(gap: Array, *, of_gamma: bool) -> tuple[float, ...]:
    """Return a gap of log effective LR, or on the scale (1 - gamma / predicted gamma) / 2."""
    return tuple((0.5 * (1.0 - np.exp(-2.0 * gap)) if of_gamma else gap).tolist())


def _largest_intrinsic_lr(drop: Drop) -> float:
    return drop.intrinsic_lr * max(1.0, 1.0 / drop.intrinsic_factor)


def _ideal(drop: Drop) -> Array:
    """The curve for constant noise, at every step from the change on."""
    return change_curve_discrete(drop.factor, drop.decay_factor, drop.intrinsic_lr, drop.after)


def _words(readings: DropReadings, n: int) -> str:
    k = readings.training.intrinsic_factor
    ratio = math.exp(float((readings.log_before(n) - readings.log_end(n)).mean()))
    return (
        f"effective LR before / after the change is {ratio:.3f}, where sqrt({k:g}) = {math.sqrt(k):.3f} "
        f"and with the measured change of the noise {math.sqrt(k * readings.noise_change(n)):.3f}"
    )
