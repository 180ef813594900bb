"""What a sweep of lambda_e reports without a verdict: signs, the best level, and two figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilr_check.claims.claim import Finding
from ilr_check.claims.figures import interval, line, points
from ilr_check.claims.findings import reported
from ilr_check.claims.function_space.trainings.flow_sweep import REPORTED, RIGHT_AFTER, SEEN, FlowRuns, Metric
from ilr_check.claims.function_space.trainings.flowing import FLOW_STEPS, LR
from ilr_check.evidence import Figure, Measured, Series
from ilr_check.stats import Estimate, estimate


def cells(runs: FlowRuns, metric: Metric, n: int) -> str:
    """Return a metric at both lambda_e and both LRs: at equilibrium, right after the drop, after the flow."""
    rows = []
    for level, lr in _pairs(runs):
        means = (
            estimate([runs.read(metric, level, after, n, lr)], [1.0], rate=REPORTED)
            for after in (0, RIGHT_AFTER, FLOW_STEPS)
        )
        rows.append(f"lambda_e {level:g}, lr {lr:g}: {', '.join(map(_words, means))}")
    return f"{metric} at equilibrium, right after the drop, after the flow: {'; '.join(rows)}"


def sign(runs: FlowRuns, metric: Metric, after: int, n: int, subject: dict[str, Any], figure: str) -> Finding:
    """Report which of the two lambda_e has the lower loss; theory gives no sign, so it is not judged."""
    gap = runs.difference(metric, after, n)
    small, large = sorted(runs.sweep.pair)
    side = "lower" if gap.high < 0 else "higher" if gap.low > 0 else "not told apart"
    when = "right after the drop" if after else "at equilibrium"
    return reported(
        group=f"{metric} {when}, small and large lambda_e",
        quantity=f"{metric} {when}: lambda_e {small:g} less lambda_e {large:g}",
        measured=Measured(value=gap.value, low=gap.low, high=gap.high),
        message=f"theory gives no sign; the loss of the smaller lambda_e is {side}",
        subject=subject,
        figure=figure,
        n_runs=n,
        n_steps=runs.sweep.course(small).steps,
    )


def optimum(runs: FlowRuns, when: str, after: int, subject: dict[str, Any], figure: str) -> Finding:
    """Report the best lambda_e of the sweep, as the range of levels that may be the best."""
    sweep = runs.sweep
    best, may_be = runs.best("held-out loss", after)
    left = [level for level, left in zip(sweep.levels, may_be, strict=True) if left]
    smallest, largest = min(sweep.levels), max(sweep.levels)
    where = f"from {min(left):g} to {max(left):g}" if len(left) > 1 else f"at {best:g} alone"
    if smallest in left:
        where = f"at or below {max(left):g}, and {smallest:g} is the smallest tested"
    means = ", ".join(
        f"{level:g}: {_words(mean)}"
        for level, mean in zip(sweep.levels, runs.along("held-out loss", after), strict=True)
    )
    low = None if smallest in left else min(left)
    high = None if largest in left else max(left)
    return reported(
        group=f"best lambda_e {when}",
        quantity=f"lambda_e with the lowest held-out loss {when}",
        measured=Measured(value=best, low=low, high=high),
        message=(
            f"nothing predicts the optimum; it lies {where} (levels that may be the best, at 99 %); "
            f"held-out loss by lambda_e: {means}"
        ),
        subject=subject,
        figure=figure,
        n_runs=sweep.sweep_runs,
        n_steps=sweep.course(smallest).steps,
    )


def flow_figure(runs: FlowRuns, n: int, name: str) -> Figure:
    """Draw the held-out loss after the drop, at both lambda_e and both LRs."""
    sweep = runs.sweep

    def along(level: float, lr: float) -> Series:
        rate = REPORTED / len(SEEN)
        samples = [runs.read("held-out loss", level, after, n, lr) for after in SEEN]
        means = [estimate([sample], [1.0], rate=rate) for sample in samples]
        role = "measured" if level == min(sweep.pair) else "control"
        return interval(f"lambda_e {level:g}, lr {lr:g}", SEEN, *zip(*means, strict=True), role=role)

    return Figure(
        name=name,
        title=f"{sweep.title}: after the drop",
        x_label="steps after the drop",
        y_label="held-out loss",
        series=tuple(along(level, lr) for level, lr in _pairs(runs)),
        caption=(
            "Two equilibria, of a small and of a large lambda_e, each reached with two LRs, then a drop of "
            f"the LR with the decay off. They are judged {RIGHT_AFTER} steps after it: the two LRs must "
            "agree at each lambda_e, and the two lambda_e must not."
        ),
    )


def sweep_figure(runs: FlowRuns, name: str) -> Figure:
    """Draw the loss by lambda_e, at equilibrium and after the flow."""
    levels = np.array(runs.sweep.levels)
    series: list[Series] = []
    for after, when, role in ((0, "at equilibrium", "measured"), (FLOW_STEPS, "after the flow", "control")):
        means = runs.along("held-out loss", after)
        may_be = runs.best("held-out loss", after)[1]
        value = np.array([mean.value for mean in means])
        trained = [mean.value for mean in runs.along("training loss", after)]
        series += [
            interval(f"held-out, {when}", levels, *zip(*means, strict=True), role=role),
            points(f"may be the best {when}", "predicted", levels[may_be], value[may_be]),
            line(f"training set, {when}", "reference", levels, trained),
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


def _pairs(runs: FlowRuns) -> list[tuple[float, float]]:
    """Return the two lambda_e, each with both LRs."""
    return [(level, lr) for level in sorted(runs.sweep.pair) for lr in (LR, runs.sweep.small_lr)]


def _words(mean: Estimate) -> str:
    return f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
