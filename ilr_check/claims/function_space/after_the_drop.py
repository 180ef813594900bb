"""Right after a drop the loss depends on lambda_e before it alone; which lambda_e is best is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Judged, Profile
from ilr_check.claims.function_space.trainings.flow_answers import (
    cells,
    flow_figure,
    optimum,
    sign,
    sweep_figure,
)
from ilr_check.claims.function_space.trainings.flow_sweep import (
    METRICS,
    RIGHT_AFTER,
    FlowRuns,
    FlowSweep,
    Metric,
)
from ilr_check.claims.function_space.trainings.flowing import FLOW_STEPS
from ilr_check.claims.law import Part, StatisticalLaw, file_name
from ilr_check.claims.settings.nets import LAYER_NORM_MLP, REFERENCE, TEACHER
from ilr_check.data import SplitDigitsSpec
from ilr_check.evidence import ClaimText
from ilr_check.stats import ContrastEquivalence

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="after-the-drop",
    title="Right after a drop, lambda_e of the phase before it decides",
    statement=(
        "lambda_e is the learning rate (LR) times the weight decay. Right after a drop to a tiny effective "
        "LR without decay, the held-out loss and the loss on the training set are the same for every LR "
        "and weight decay with an equal product before the drop, and another product gives others. The "
        "claim also reports, without judging, whether the equilibrium of the small or of the large LR is "
        "better, before and after the drop, and which lambda_e is best in a sweep."
    ),
    equation="loss right after the drop = f(λₑ before it)",
    source=(
        "Li, Lyu, Arora 2020, SDE phase and gradient flow; reviewer 1, point 4; reviewer 2, point 10 "
        "(smaller LRs, down to the optimum)"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("lr alone", "eight times lambda_e"),
    meaning=(
        "The state at the drop depends on lr or weight decay alone: the phase before it was too short, or "
        "the decay is not lr * weight_decay."
    ),
    blind=(
        "the shape and the sign of f, which theory does not give; differences smaller than those of a "
        "lambda_e that is 1.7 times as large; and anything that changes all populations alike. Flows at "
        "two lambda_e have one effective LR only if the gradient noise has one size, so the sweep after "
        "the flow compares equal numbers of steps, not equal times of flow."
    ),
)

THETA = 0.25
"""The share of the difference that eight times lambda_e makes which counts as no difference. As the loss is
nearly linear in log lambda_e, a factor below 8^(1/4) = 1.7 in lambda_e makes such a difference."""

LEVELS = (6.4e-2, 3.2e-2, 1.6e-2, 8e-3, 4e-3, 2e-3)
LOWER = (*LEVELS, 1e-3, 5e-4)
PAIR = (8e-3, 6.4e-2)


def sweeps(profile: Profile, seed: int) -> tuple[FlowSweep, ...]:
    """Return few digits with clean labels; beyond ``quick`` two subjects with label noise too.

    ``planned`` is beyond the largest standard deviation and below the smallest effect of 64 runs of another
    seed.
    """
    few = FlowSweep(
        title="297 digits",
        net=REFERENCE,
        data=SplitDigitsSpec(held_out=1500),
        levels=LEVELS if profile == "quick" else LOWER,
        pair=PAIR,
        planned={"held-out loss": (0.05, 0.12), "training loss": (0.03, 0.1)},
    )
    if profile == "quick":
        return (few,)
    return (
        few,
        FlowSweep(
            title="1400 digits, label noise 0.5",
            net=REFERENCE,
            data=SplitDigitsSpec(label_noise=0.5),
            levels=(*LEVELS, 1e-3),
            pair=PAIR,
            planned={"held-out loss": (0.115, 0.23), "training loss": (0.09, 0.26)},
        ),
        FlowSweep(
            title="LayerNorm net, teacher and student",
            net=LAYER_NORM_MLP,
            data=TEACHER,
            levels=LOWER,
            pair=PAIR,
            planned={"held-out loss": (0.085, 0.55), "training loss": (0.07, 0.58)},
        ),
    )


FLOW, SWEEP = "flow", "sweep"
"""The two figures."""


def parts(sweep: FlowSweep) -> list[Part]:
    """Return each metric at either lambda_e of the pair."""
    return [
        Part(
            f"lambda_e {level:g}: {metric} right after the drop",
            what=(level, metric),
            name=f"{level:g}/{metric}",
            figure=FLOW,
        )
        for level in sweep.pair
        for metric in METRICS
    ]


def design(sweep: FlowSweep, part: Part, alpha: float) -> ContrastEquivalence:
    """Return the design: two LRs at equal lambda_e must agree, and the other lambda_e must not."""
    level, metric = part.what
    sd, effect = sweep.planned[metric]
    return ContrastEquivalence(
        estimand=f"{metric}: difference of two LRs at equal lambda_e, less {THETA:g} of the control's",
        theta=THETA,
        margin_reason=f"{THETA:g} of the difference that lambda_e = {sweep.other(level):g} makes",
        looks=sweep.looks,
        false_fail=alpha,
        sd=sd,
        effect=effect,
    )


def sample(runs: FlowRuns, part: Part, n: int) -> tuple[Array, ...]:
    """Return the metric right after the drop: of both LRs, and of the other lambda_e."""
    level, metric = part.what
    return (
        runs.read(metric, level, RIGHT_AFTER, n),
        runs.read(metric, level, RIGHT_AFTER, n, runs.sweep.small_lr),
        runs.read(metric, runs.sweep.other(level), RIGHT_AFTER, n),
    )


def closing(sweep: FlowSweep, runs: FlowRuns, subject: dict[str, Any], n: int) -> Judged:
    """Report which lambda_e is better and which is best, and draw both figures."""
    flow, curve = (file_name(TEXT.id, sweep.title, part) for part in (FLOW, SWEEP))
    findings = (
        *(sign(runs, metric, after, n, subject, flow) for after in (0, RIGHT_AFTER) for metric in REPORTED),
        optimum(runs, "at equilibrium", 0, subject, curve),
        optimum(runs, "after the flow", FLOW_STEPS, subject, curve),
    )
    return Judged(findings, (flow_figure(runs, n, flow), sweep_figure(runs, curve)))


REPORTED: tuple[Metric, ...] = ("training loss", "held-out loss")

LAW = StatisticalLaw(
    text=TEXT,
    spec=FlowSweep,
    experiments=sweeps,
    run_steps=FlowSweep.run_steps,
    trained=FlowRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda sweep, part: sweep.course(part.what[0]).steps,
    form="prediction",
    message=lambda seen: cells(seen.runs, seen.part.what[1], seen.n),
    closing=closing,
)
CLAIM = LAW.claim()
