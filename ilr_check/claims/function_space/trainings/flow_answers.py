"""What a sweep of lambda_e answers without a verdict: signs, the optimum, and two figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilr_check.claims.claim import Finding
from ilr_check.claims.function_space.trainings.flow_sweep import REPORTED, RIGHT_AFTER, SEEN, FlowRuns, Metric
from ilr_check.claims.function_space.trainings.flowing import FLOW_STEPS, LR
from ilr_check.evidence import Figure, Margin, Measured, Series
from ilr_check.stats import Estimate, estimate


def cells(runs: FlowRuns, metric: Metric, n: int) -> str:
    """The 2x2 of the question, with both LRs: at equilibrium, right after the drop, and after the flow."""
    rows = []
    for level in sorted(runs.sweep.pair):
        for lr in (LR, runs.sweep.small_lr):
            cells = (
                estimate([runs.read(metric, level, after, n, lr)], [1.0], rate=REPORTED)
                for after in (0, RIGHT_AFTER, FLOW_STEPS)
            )
            rows.append(f"lambda_e {level:g}, lr {lr:g}: {', '.join(map(_interval, cells))}")
    return f"{metric} at equilibrium, right after the drop, after the flow: {'; '.join(rows)}"


def sign(runs: FlowRuns, metric: Metric, after: int, n: int, subject: dict[str, Any], figure: str) -> Finding:
    """Which of the two lambda_e is better, with its uncertainty; not judged, as theory gives no sign."""
    gap = runs.difference(metric, after, n)
    small, large = sorted(runs.sweep.pair)
    side = "lower" if gap.high < 0 else "higher" if gap.low > 0 else "not told apart"
    when = "right after the drop" if after else "at equilibrium"
    return Finding(
        form="raw",
        group=f"{metric} {when}, small and large lambda_e",
        subject=subject,
        verdict="skipped",
        quantity=f"{metric} {when}: lambda_e {small:g} less lambda_e {large:g}",
        measured=Measured(value=gap.value, low=gap.low, high=gap.high),
        expected=None,
        margin=Margin(),
        n_runs=n,
        n_steps=runs.sweep.course(small).steps,
        dtype="float32",
        counts=False,
        figure=figure,
        message=f"reported, not judged: theory gives no sign; the loss of the smaller lambda_e is {side}",
    )


def optimum(runs: FlowRuns, when: str, after: int, subject: dict[str, Any], figure: str) -> Finding:
    """The best lambda_e of the sweep, as the range of levels that may be the best."""
    sweep = runs.sweep
    best, may_be = runs.best("held-out loss", after)
    left = [level for level, left in zip(sweep.levels, may_be, strict=True) if left]
    smallest, largest = min(sweep.levels), max(sweep.levels)
    where = f"from {min(left):g} to {max(left):g}" if len(left) > 1 else f"at {best:g} alone"
    if smallest in left:
        where = f"at or below {max(left):g}, and {smallest:g} is the smallest tested"
    means = ", ".join(
        f"{level:g}: {_interval(mean)}"
        for level, mean in zip(sweep.levels, runs.along("held-out loss", after), strict=True)
    )
    return Finding(
        form="raw",
        group=f"best lambda_e {when}",
        subject=subject,
        verdict="skipped",
        quantity=f"lambda_e with the lowest held-out loss {when}",
        measured=Measured(
            value=best,
            low=None if smallest in left else min(left),
            high=None if largest in left else max(left),
        ),
        expected=None,
        margin=Margin(),
        n_runs=sweep.sweep_runs,
        n_steps=sweep.course(smallest).steps,
        dtype="float32",
        counts=False,
        figure=figure,
        message=(
            f"reported, not judged: nothing predicts the optimum; it lies {where} (levels that may be the "
            f"best, at 99 %); held-out loss by lambda_e: {means}"
        ),
    )


def flow_figure(runs: FlowRuns, n: int, name: str) -> Figure:
    sweep, x = runs.sweep, np.array(SEEN, dtype=float)
    series = []
    for level in sorted(sweep.pair):
        for lr in (LR, sweep.small_lr):
            ends = [
                estimate([runs.read("held-out loss", level, after, n, lr)], [1.0], rate=REPORTED / len(SEEN))
                for after in SEEN
            ]
            value, low, high = (np.array(column) for column in zip(*ends, strict=True))
            series.append(
                Series(
                    name=f"lambda_e {level:g}, lr {lr:g}",
                    kind="interval",
                    role="measured" if level == min(sweep.pair) else "control",
                    x=x,
                    y=value,
                    low=low,
                    high=high,
                )
            )
    return Figure(
        name=name,
        title=f"{sweep.title}: after the drop",
        x_label="steps after the drop",
        y_label="held-out loss",
        series=tuple(series),
        caption=(
            "Two equilibria, of a small and of a large lambda_e, each reached with two LRs, then a drop of "
            f"the LR with the decay off. Judged {RIGHT_AFTER} steps after it: the two LRs must agree at each "
            "lambda_e, and the two lambda_e must not."
        ),
    )


def sweep_figure(runs: FlowRuns, name: str) -> Figure:
    levels = np.array(runs.sweep.levels)
    series = []
    for after, when in ((0, "at equilibrium"), (FLOW_STEPS, "after the flow")):
        value, low, high = (
            np.array(column) for column in zip(*runs.along("held-out loss", after), strict=True)
        )
        may_be = runs.best("held-out loss", after)[1]
        role: Any = "control" if after else "measured"
        series += [
            Series(
                name=f"held-out, {when}", kind="interval", role=role, x=levels, y=value, low=low, high=high
            ),
            Series(
                name=f"may be the best {when}",
                kind="points",
                role="predicted",
                x=levels[may_be],
                y=value[may_be],
            ),
            Series(
                name=f"training set, {when}",
                kind="line",
                role="reference",
                x=levels,
                y=np.array([mean.value for mean in runs.along("training loss", after)]),
            ),
        ]
    return Figure(
        name=name,
        title=f"{runs.sweep.title}: down to the best lambda_e",
        x_label="lambda_e of the noisy phase",
        y_label="loss",
        x_log=True,
        y_log=True,
        series=tuple(series),
        caption=(
            "The held-out loss by lambda_e, at equilibrium and after the flow, with intervals that hold "
            "together at 99 %. Triangles mark the levels that may be the best. Theory gives the variable, "
            "not the optimum."
        ),
    )


def _interval(mean: Estimate) -> str:
    return f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
