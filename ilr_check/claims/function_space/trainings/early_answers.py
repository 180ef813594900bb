"""What is reported about early and late drops without a verdict: the metric at the end, and two figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Judged
from ilr_check.claims.figures import interval, line, points
from ilr_check.claims.findings import reported
from ilr_check.claims.function_space.trainings.early_drops import DISTANCE, LATE_SHARE, Early, EarlyRuns
from ilr_check.claims.law import file_name
from ilr_check.evidence import Figure, Measured, Series
from ilr_check.stats import estimate

Array = NDArray[np.float64]

REPORTED = 1e-2
"""The chance that an interval of the reported metric misses; the intervals of a figure share it."""


def final_metric(runs: EarlyRuns, n: int, subject: dict[str, Any], figure: str) -> Finding:
    """Report the held-out loss at the end: that of the earliest drop less that of the latest one."""
    early = runs.early
    first, last = early.times[0], early.times[-1]
    gap = estimate([runs.final(t, n).loss for t in (first, last)], [1.0, -1.0], rate=REPORTED)
    rows = []
    for t in early.times:
        f = runs.final(t, n)
        rows.append(
            f"{t:g}/lambda_e: {_pm(f.loss)}, on the training set {_pm(f.train_loss)}, accuracy "
            f"{_pm(f.accuracy)}"
        )
    kept = runs.equilibrium(n)
    side = "worse" if gap.low > 0 else "better" if gap.high < 0 else "not told apart from the late one"
    return reported(
        group="metric at the end",
        subject=subject,
        quantity=f"held-out loss at the end, drop after {first:g}/lambda_e less drop after {last:g}/lambda_e",
        measured=Measured(value=gap.value, low=gap.low, high=gap.high),
        n_runs=n,
        n_steps=early.steps,
        figure=figure,
        message=(
            f"theory gives no sign; in {early.budget:g}/lambda_e steps in all, the "
            f"early drop is {side} in held-out loss; drop after {'; '.join(rows)}; never dropped: "
            f"{_pm(kept.loss)}, on the training set {_pm(kept.train_loss)}, accuracy {_pm(kept.accuracy)}"
        ),
    )


def closing(claim: str, early: Early, runs: EarlyRuns, subject: dict[str, Any], n: int) -> Judged:
    """Report the metric at the end, and draw both figures."""
    distance, metric = (file_name(claim, early.title, part) for part in (DISTANCE, "metric"))
    found = final_metric(runs, n, subject, metric)
    return Judged((found,), (_distance_figure(runs, n, distance), _metric_figure(runs, n, metric)))


def _distance_figure(runs: EarlyRuns, n: int, name: str) -> Figure:
    early = runs.early
    control = runs.from_equilibrium(runs.control(n), n)
    ones = np.ones(len(early.times))
    distances = [runs.from_equilibrium(runs.before(t, n), n) for t in early.times]
    return Figure(
        name=name,
        title=f"{early.title}: before the drop",
        x_label="steps before the drop x lambda_e",
        y_label="energy distance of predictions from those at equilibrium",
        x_log=True,
        series=(
            points("as the LR drops", "measured", early.times, distances),
            line("control: equilibrium at four times lambda_e", "control", early.times, control * ones),
            line(
                f"counts as equal: {LATE_SHARE:g} of the control",
                "margin",
                early.times,
                LATE_SHARE * control * ones,
            ),
        ),
        caption=(
            "How far from equilibrium the predictions are when the LR drops. Unbiased: equal populations "
            "scatter about 0. Predictions must be far from equilibrium at an early drop, and at equilibrium "
            "at a late one."
        ),
    )


def _metric_figure(runs: EarlyRuns, n: int, name: str) -> Figure:
    early = runs.early
    rate = REPORTED / (2 * len(early.times))

    def intervals(words: str, samples: list[Array], role: Any) -> Series:
        means = [estimate([sample], [1.0], rate=rate) for sample in samples]
        return interval(words, early.times, *zip(*means, strict=True), role=role)

    finals = [runs.final(t, n) for t in early.times]
    return Figure(
        name=name,
        title=f"{early.title}: at the end of the budget",
        x_label="steps before the drop x lambda_e",
        y_label="loss at the end",
        x_log=True,
        series=(
            intervals("held-out loss", [f.loss for f in finals], "measured"),
            intervals("loss on the training set", [f.train_loss for f in finals], "control"),
        ),
        caption=(
            f"The loss after {early.budget:g}/lambda_e steps in all, by when the LR was divided by "
            f"{early.factor:g}. Intervals hold together at {REPORTED:g}. Theory says which drops come before "
            "equilibrium; it does not say whether they help."
        ),
    )


def _pm(values: Array) -> str:
    mean = estimate([values], [1.0], rate=REPORTED)
    return f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
