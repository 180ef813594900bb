"""Two histories are forgotten, as functions, in a time proportional to 1/lambda_e."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.function_space.trainings.meetings import TIMES, Meeting, Meetings, relaxation_time
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.claims.settings.nets import REFERENCE
from ilr_check.data import SplitDigitsSpec
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import CurveEquivalence, Rival, SlopeEquivalence, examine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="function-mixing-time",
    title="Two histories become one distribution of predictions in a time of order 1/lambda_e",
    statement=(
        "A population that comes from eight times lambda_e and one that has long been at lambda_e end at "
        "the same distribution of predictions on held-out inputs, and the time that this takes is "
        "proportional to 1/lambda_e, from equal gamma_0/gamma*."
    ),
    equation="T_f = Σₜ D(t) / D(t₁) ∝ 1/λₑ,  D the distance between the distributions of predictions",
    source=(
        "Li, Lyu, Arora 2020, fast equilibrium conjecture; proved near a manifold of minimisers by Li, Wang, "
        "Yu 2022; asked by reviewer 1"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("slope 1/2", "slope 2", "nothing is forgotten"),
    meaning=(
        "The functions do not follow the clock of lr * weight_decay: the decay applied is another power of "
        "it, histories last, or what takes long is learning itself or a basin that noise does not leave."
    ),
    blind=(
        "the constant in front of 1/lambda_e, of which theory gives no value; the first 1/16 of 1/lambda_e, "
        "where learning catches up; slow memories of less than a tenth of the distance; a cold history, "
        "whose underfit weights take learning to undo. From a hot start noise brings the norm back, so a "
        "wrong decay hardly moves the slope: it shows in what is left."
    ),
)

SLOPE_MARGIN = 0.25
"""Half of the way to the nearest rival. Functions lag behind the norm by the time of learning, of order
1/(effective LR), which goes as lambda_e^(-1/2): where that is a share x of the counted time the local slope
is 1 - x/2, so the margin asks that it be less than half of it. The rate's own correction, lambda_e/2 of
4 lambda_e (1 + lambda_e/2), is 0.016 at 1/32, under 0.01 in the slope."""

LEFT_MARGIN = 0.1
"""Of the initial distance, after 1/lambda_e, a tolerance: theory leaves far less. gamma has e^-4 of its start
left, which counts squared in an energy distance of near populations; the direction of the hot population has
turned through 8/2 before, so that it remembers nothing. What is left is also what the time does not count."""

PARTS = ("slope", "closing")


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """Digits with label noise 0.5; more runs beyond ``quick``."""
    digits = Meeting(
        title="digits, label noise 0.5",
        net=REFERENCE,
        data=SplitDigitsSpec(label_noise=0.5),
        looks=(224, 448) if profile == "quick" else (320, 640),
    )
    meetings = [digits]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {meeting.title}",
            subject=msgspec.to_builtins(meeting),
            decisions=tuple(f"{TEXT.id}/{meeting.title}/{part}" for part in PARTS),
        )
        for meeting in meetings
    )


def judge(subject: dict[str, Any], context: Context, *, rule: UpdateRule | Rule = plain) -> Judged:
    """Judge the slope of the time, and that the distance is gone; tests plant defects through ``rule``."""
    meeting = msgspec.convert(subject, type=Meeting)
    meetings = Meetings(meeting, context, rule)
    inverses = meeting.inverses
    levels = len(inverses)
    about: dict[str, Any] = {
        "looks": meeting.looks,
        "rivals": tuple(Rival(name=f"slope {name}", expected=v) for name, v in (("1/2", 0.5), ("2", 2.0))),
    }
    slope = SlopeEquivalence(
        estimand="slope of log(time to forget, as functions) against log(1/lambda_e)",
        levels=tuple(float(inverse) for inverse in inverses),
        theory=1.0,
        margin=(1.0 - SLOPE_MARGIN, 1.0 + SLOPE_MARGIN),
        margin_reason="half of the way to the nearest rival: learning may take up to half of the time",
        response="log",
        false_fail=context.alpha(f"{TEXT.id}/{meeting.title}/slope"),
        sd=meeting.planned[0],
        **about,
    )
    about["rivals"] = (Rival(name=TEXT.rivals[2], expected=(1.0,) * levels),)
    closing = CurveEquivalence(
        estimand="share of the initial distance left after 1/lambda_e, every level",
        points=levels,
        margin=(-LEFT_MARGIN, LEFT_MARGIN),
        margin_reason="tolerance; the norm leaves e^-4, squared, and a direction turned by 4 less",
        false_fail=context.alpha(f"{TEXT.id}/{meeting.title}/closing"),
        sd=meeting.planned[1],
        **about,
    )
    draws: dict[str, Callable[[int], Any]] = {
        "slope": lambda n: tuple(meetings.log_times(inverse, n) for inverse in inverses),
        "closing": lambda n: np.stack([meetings.left(inverse, n) for inverse in inverses], axis=1),
    }
    findings: list[Finding] = []
    figures: list[Figure] = []
    rival_values = {"slope": {}, "closing": {TEXT.rivals[2]: 1.0}}
    for part, design in (("slope", slope), ("closing", closing)):
        examination = examine(design, draws[part])
        n = examination.runs_used
        if n:
            figures.append({"slope": _times_figure, "closing": _curves_figure}[part](meetings, n))
        findings.append(
            finding_of(
                examination,
                form="raw",
                group=part,
                subject=subject,
                n_steps=max(c.steps for c in meeting.courses(max(inverses))) if n else 0,
                figure=figures[-1].name if n else "",
                message=_words(meetings, n) if n else "",
                rival_values=rival_values[part],
            )
        )
    return Judged(tuple(findings), tuple(figures))


def _words(meetings: Meetings, n: int) -> str:
    inverses = meetings.meeting.inverses
    times = [float(relaxation_time(meetings.distances(inverse, n).whole)) for inverse in inverses]
    ends = [meetings.starts(inverse, n) for inverse in (inverses[0], inverses[-1])]
    hot, settled = ("{:.3g} and {:.3g}".format(*part) for part in zip(*ends, strict=True))
    return (
        f"times x lambda_e at 1/lambda_e = {', '.join(map(str, inverses))}: "
        f"{', '.join(f'{time:.3f}' for time in times)}; gamma as the last phase begins over that at its end, "
        f"at the first and the last level: {hot} of the hot population, {settled} of the settled one"
    )


def _times_figure(meetings: Meetings, n: int) -> Figure:
    meeting = meetings.meeting
    x = np.array(meeting.inverses, dtype=float)
    logs = np.stack([meetings.log_times(inverse, n) for inverse in meeting.inverses])
    middle, half = logs.mean(axis=1), 4.0 * logs.std(axis=1, ddof=1) / math.sqrt(n)
    centre = middle.mean() - np.log(x).mean()

    def line(slope: float) -> Array:
        return np.asarray(np.exp(centre + np.log(x).mean() * (1.0 - slope) + slope * np.log(x)))

    return Figure(
        name=file_name(TEXT.id, meeting.title, "times"),
        title=f"{meeting.title}: time to forget, as functions",
        x_label="1 / lambda_e",
        y_label="integrated relaxation time, steps",
        x_log=True,
        y_log=True,
        series=(
            Series(name="proportional to 1/lambda_e", kind="line", role="predicted", x=x, y=line(1.0)),
            Series(
                name="two populations (4 standard errors)",
                kind="interval",
                role="measured",
                x=x,
                y=np.exp(middle),
                low=np.exp(middle - half),
                high=np.exp(middle + half),
            ),
            *(
                Series(name=f"rival: slope {name}", kind="line", role="rival", x=x, y=line(slope))
                for name, slope in (("1/2", 0.5), ("2", 2.0))
            ),
        ),
        caption=(
            "The sum of the distances between the two populations along the last phase, over the first of "
            "them that counts. Only the slope is predicted; the lines go through the middle of the measured "
            "points. Every level starts at the same multiple of its equilibrium, so no logarithm bends it."
        ),
    )


def _curves_figure(meetings: Meetings, n: int) -> Figure:
    meeting = meetings.meeting
    series = []
    for inverse in meeting.inverses:
        distances = meetings.distances(inverse, n)
        series.append(
            Series(
                name=f"1/lambda_e = {inverse}",
                kind="line",
                role="measured",
                x=np.array(TIMES),
                y=distances.whole / distances.whole[0],
            )
        )
    return Figure(
        name=file_name(TEXT.id, meeting.title, "distances"),
        title=f"{meeting.title}: a hot population becomes the settled one",
        x_label="steps x lambda_e since the last phase began",
        y_label="distance of predictions, over the first",
        series=tuple(series),
        caption=(
            "Energy distance between the predictions of a hot population and of a settled one, "
            "unbiased, so that equal populations scatter about 0. In time times lambda_e the curves of all "
            "levels lie near each other and end at 0."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
"""``closing`` is what keeps ``slope`` honest: a distance that never fades has a time of the whole window,
which is proportional to 1/lambda_e too."""
