"""How the effective LR answers a change of lr or weight decay, judged in all forms; three claims share it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.mean_field.trainings.identities import immediate_drop, longest_sum, norm_identity
from ilr_check.claims.mean_field.trainings.lr_drop import Drop, DropReadings
from ilr_check.claims.mean_field.trainings.noise_references import TransferRuns
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, RivalOutcome, Series
from ilr_check.evidence.records import Form
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import CurveEquivalence, Decision, Examination, Rival, examine
from ilr_check.theory.relaxation import change_curve_discrete

Array = NDArray[np.float64]

TOLERANCE = 0.04
"""What we tolerate beyond the derived corrections, in log effective LR; the rivals end 0.38 to 2.3 away."""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """A claim about one change of lr or weight decay.

    ``ends`` says where each rival of ``text`` has the effective LR end, relative to its old value, and
    ``jumps`` by what other factor it might fall in the very step of the change.
    """

    text: ClaimText
    drops: Callable[[Profile, int], Sequence[Drop]]
    """(profile, seed) -> what is trained."""
    ends: Callable[[Drop], tuple[float, ...]]
    jumps: Callable[[Drop], Mapping[str, float]]
    caption: str

    def claim(self) -> Claim:
        """The claim as the engine runs it."""
        return Claim(text=self.text, plan=self.plan, judge=self.judge)

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """One unit a training, with one decision an invariant group."""
        return units_by_group(self.text.id, self.drops(profile, seed))

    def judge(
        self,
        subject: dict[str, Any],
        context: Context,
        *,
        rule: UpdateRule = plain,
        noise_references: Drop | None = None,
    ) -> Judged:
        """Judge one training in all its forms; tests plant defects through ``rule`` and
        ``noise_references``."""
        drop = msgspec.convert(subject, type=Drop)
        runs = TransferRuns(drop, context, rule=rule, noise_references=noise_references)
        findings: list[Finding] = []
        figures: list[Figure] = []
        form: Form = "raw" if drop.noise else "transfer"
        for group, tensors in judged_groups(drop.net).items():
            readings = DropReadings(runs, tensors)
            alpha = context.alpha(decision_name(self.text.id, drop, group))
            examination = (self._control if drop.noise else self._transfer)(readings, alpha)
            n = examination.runs_used
            if n == 0:
                untrained: dict[str, Any] = {"group": group, "subject": subject, "n_steps": 0, "figure": ""}
                findings.append(finding_of(examination, form=form, **untrained))
                continue
            figures.append(self._figure(readings, n, group, examination.decision))
            about: dict[str, Any] = {"group": group, "subject": subject, "figure": figures[-1].name}
            terms = longest_sum(drop.net, tensors)
            traces = readings.traces(n)
            findings += [
                immediate_drop(
                    traces,
                    step=drop.before,
                    factor=drop.factor,
                    rivals=self.jumps(drop),
                    terms=terms,
                    **about,
                ),
                norm_identity(traces, terms=terms, **about),
                finding_of(
                    examination,
                    form=form,
                    n_steps=drop.steps,
                    message=_words(readings, n),
                    rival_values=self._at_the_end(drop),
                    **about,
                ),
            ]
            if not drop.noise:
                findings.append(self._raw(readings, n, **about))
        return Judged(tuple(findings), tuple(figures))

    def _transfer(self, readings: DropReadings, alpha: float) -> Examination:
        """The whole curve of log effective LR against what the noise of other runs predicts."""
        drop, grid = readings.training, readings.training.grid()
        corrections = 2.0 * _largest_intrinsic_lr(drop)
        design = CurveEquivalence(
            estimand="effective LR / prediction from other runs' noise, less 1 (half the deviation of gamma)",
            points=len(grid),
            margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
            # gamma' = a^4 gamma + 2 a^2 G^2 + G^4/gamma: only the last term is not linear in the noise. It
            # moves gamma* by lambda_e V, V = Var(G^2)/E(G^2)^2, and the effective LR by half of that. Steps
            # of these nets have V = 0.05 to 0.5; 2 lambda_e allows for V = 4.
            margin_reason=f"finite lambda_e {corrections:.3f} (2 lambda_e) + tolerance {TOLERANCE}",
            rivals=self._rivals(drop, grid - drop.before, of_gamma=True),
            looks=drop.looks,
            false_fail=alpha,
            sd=drop.planned_sd,
        )
        return examine(design, readings.deviations)

    def _control(self, readings: DropReadings, alpha: float) -> Examination:
        """The raw law itself, where its premise holds: against constant noise, nothing measured."""
        drop = readings.training
        t = drop.grid() - drop.before
        theory = np.log(_ideal(drop))[t[t >= 0]]
        corrections = 0.5 * abs(math.log(readings.noise_change(drop.looks[0])))
        corrections += 2.0 * _largest_intrinsic_lr(drop)
        design = CurveEquivalence(
            estimand="log(effective LR / value before the change) less the curve for constant noise",
            points=len(theory),
            margin=(-TOLERANCE - corrections, TOLERANCE + corrections),
            margin_reason=(
                f"half the log of the measured change of the noise, and 2 lambda_e: {corrections:.3f}, "
                f"+ tolerance {TOLERANCE}"
            ),
            rivals=self._rivals(drop, t[t >= 0]),
            looks=drop.looks,
            false_fail=alpha,
            sd=drop.planned_sd,
        )
        return examine(
            design,
            lambda n: readings.log_effective_lr(n)[:, t >= 0] - readings.log_before(n)[:, None] - theory,
        )

    def _rivals(self, drop: Drop, t: NDArray[np.intp], *, of_gamma: bool = False) -> tuple[Rival, ...]:
        """Each rival's log curve less the theory's, both for constant noise, t steps after the change.

        ``of_gamma`` puts them on the scale (1 - gamma / predicted gamma) / 2.
        """
        since = np.maximum(t, 0)
        forget = np.exp(-4.0 * drop.intrinsic_lr / drop.intrinsic_factor * since)
        theory = np.log(_ideal(drop))[since]

        def ending_at(end: float) -> tuple[float, ...]:
            curve = -0.5 * np.log(end**-2 + (drop.factor**2 - end**-2) * forget)
            gap = np.where(t >= 0, curve - theory, 0.0)
            return tuple((0.5 * (1.0 - np.exp(-2.0 * gap)) if of_gamma else gap).tolist())

        return tuple(
            Rival(name=name, expected=ending_at(end))
            for name, end in zip(self.text.rivals, self.ends(drop), strict=True)
        )

    def _at_the_end(self, drop: Drop) -> dict[str, float]:
        """Where each rival stands at the end of training, on the scale of the judged deviation."""
        last = drop.grid()[-1:] - drop.before
        rivals = self._rivals(drop, last, of_gamma=not drop.noise)
        return {rival.name: np.asarray(rival.expected).item() for rival in rivals}

    def _raw(
        self, readings: DropReadings, n: int, *, group: str, subject: dict[str, Any], figure: str
    ) -> Finding:
        """The paper's wording, reported: where the effective LR ends relative to its value before."""
        drop = readings.training
        log_ratio = readings.log_end(n) - readings.log_before(n)
        middle = float(log_ratio.mean())
        half = 3.0 * float(log_ratio.std(ddof=1)) / math.sqrt(n)
        low, high = math.exp(middle - half), math.exp(middle + half)
        return Finding(
            form="raw",
            group=group,
            subject=subject,
            verdict="skipped",
            quantity="effective LR at the end / before the change",
            measured=Measured(value=math.exp(middle), low=low, high=high),
            expected=drop.intrinsic_factor**-0.5,
            margin=Margin(),
            n_runs=n,
            n_steps=drop.steps,
            dtype="float32",
            counts=False,
            figure=figure,
            message=(
                "reported, not judged: the raw law presumes noise of constant trace, and here G^2 changed by "
                f"a factor {readings.noise_change(n):.3f}; {_words(readings, n)}"
            ),
            rivals=tuple(
                RivalOutcome(name=name, expected=end, excluded=not low <= end <= high)
                for name, end in zip(self.text.rivals, self.ends(drop), strict=True)
            ),
        )

    def _figure(self, readings: DropReadings, n: int, group: str, decision: Decision) -> Figure:
        drop, grid = readings.training, readings.training.grid()
        t = (grid - drop.before).astype(float)
        level = float(readings.log_before(n).mean())
        curves = readings.log_effective_lr(n) - level
        if drop.noise:
            prediction = np.where(t >= 0, np.log(_ideal(drop))[np.maximum(t, 0).astype(int)], 0.0)
        else:
            prediction = readings.log_predicted(n) - level
        margin = decision.margin_high or 0.0

        def line(name: str, kind: Any, role: Any, y: Array) -> Series:
            return Series(name=name, kind=kind, role=role, x=t, y=np.exp(y))

        def band(name: str, role: Any, low: Array, high: Array) -> Series:
            return Series(name=name, kind="band", role=role, x=t, low=np.exp(low), high=np.exp(high))

        source = "constant noise" if drop.noise else "other runs' noise"
        k = drop.intrinsic_factor
        return Figure(
            name=file_name(self.text.id, drop.title, group),
            title=f"{drop.title}, {group}",
            x_label="steps after the change",
            y_label="effective LR / its value before the change",
            y_log=True,
            series=(
                band("margin around the prediction", "margin", prediction - margin, prediction + margin),
                band("runs, 5 % to 95 %", "measured", *np.quantile(curves, (0.05, 0.95), axis=0)),
                line(f"prediction from {source}", "line", "predicted", prediction),
                line("measured, mean of the runs", "points", "measured", curves.mean(axis=0)),
                *(
                    line(f"rival: {rival.name}", "line", "rival", prediction + np.asarray(rival.expected))
                    for rival in self._rivals(drop, grid - drop.before)
                ),
                line(f"1/sqrt({k:g})", "line", "reference", np.full(len(t), -0.5 * math.log(k))),
            ),
            caption=f"{self.caption} The points must stay in the margin around the prediction; each rival "
            "leaves it.",
        )


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
