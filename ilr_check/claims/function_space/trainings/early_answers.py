"""What early and late drops answer without a verdict: the metric at the end, and two figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding
from ilr_check.claims.function_space.trainings.early_drops import LATE_SHARE, EarlyRuns
from ilr_check.evidence import Figure, Margin, Measured, Series
from ilr_check.stats import estimate

Array = NDArray[np.float64]

REPORTED = 1e-2
"""How often one of the intervals of the reported metric may miss; those of a figure share it."""


def final_metric(runs: EarlyRuns, n: int, subject: dict[str, Any], figure: str) -> Finding:
    """The answer to "better or worse?": held-out loss at the end, earliest drop less latest, not judged."""
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
    return Finding(
        form="raw",
        group="metric at the end",
        subject=subject,
        verdict="skipped",
        quantity=f"held-out loss at the end, drop after {first:g}/lambda_e less drop after {last:g}/lambda_e",
        measured=Measured(value=gap.value, low=gap.low, high=gap.high),
        expected=None,
        margin=Margin(),
        n_runs=n,
        n_steps=early.steps,
        dtype="float32",
        counts=False,
        figure=figure,
        message=(
            f"reported, not judged: theory gives no sign; in {early.budget:g}/lambda_e steps in all, the "
            f"early drop is {side} in held-out loss; drop after {'; '.join(rows)}; never dropped: "
            f"{_pm(kept.loss)}, on the training set {_pm(kept.train_loss)}, accuracy {_pm(kept.accuracy)}"
        ),
    )


def figures(runs: EarlyRuns, n: int, names: tuple[str, str]) -> tuple[Figure, Figure]:
    """How far from equilibrium a drop finds the functions, and what it makes of the metric."""
    early = runs.early
    times = np.array(early.times)
    control = runs.from_equilibrium(runs.control(n), n)
    distance = Figure(
        name=names[0],
        title=f"{early.title}: before the drop",
        x_label="steps before the drop x lambda_e",
        y_label="energy distance of predictions from those at equilibrium",
        x_log=True,
        series=(
            Series(
                name="as the LR drops",
                kind="points",
                role="measured",
                x=times,
                y=np.array([runs.from_equilibrium(runs.before(t, n), n) for t in early.times]),
            ),
            Series(
                name="control: equilibrium at four times lambda_e",
                kind="line",
                role="control",
                x=times,
                y=np.full(len(times), control),
            ),
            Series(
                name=f"counts as equal: {LATE_SHARE:g} of the control",
                kind="line",
                role="margin",
                x=times,
                y=np.full(len(times), LATE_SHARE * control),
            ),
        ),
        caption=(
            "How far from equilibrium a drop finds what the nets predict. Unbiased: equal populations "
            "scatter about 0. An early drop must come from elsewhere, a late one from equilibrium."
        ),
    )
    rate = REPORTED / (2 * len(times))

    def intervals(name: str, samples: list[Array], role: Any) -> Series:
        ends = [estimate([sample], [1.0], rate=rate) for sample in samples]
        value, low, high = (np.array(column) for column in zip(*ends, strict=True))
        return Series(name=name, kind="interval", role=role, x=times, y=value, low=low, high=high)

    finals = [runs.final(t, n) for t in early.times]
    metric = Figure(
        name=names[1],
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
            "equilibrium; whether they help has no sign in it."
        ),
    )
    return distance, metric


def _pm(values: Array) -> str:
    mean = estimate([values], [1.0], rate=REPORTED)
    return f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
