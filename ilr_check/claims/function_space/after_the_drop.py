"""Right after a drop the loss depends on lambda_e before it alone; which lambda_e is best is measured."""

from __future__ import annotations

from typing import Any

import msgspec

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
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
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.claims.settings.nets import REFERENCE
from ilr_check.data import SplitDigitsSpec, TeacherStudentSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import ContrastEquivalence, Examination, examine

TEXT = ClaimText(
    id="after-the-drop",
    title="Right after a drop, lambda_e of the phase before it decides",
    statement=(
        "Right after a drop to a tiny effective LR without decay, the held-out loss and the loss on the "
        "training set are the same for every lr and weight decay of equal product before it, and another "
        "product gives others. Whether the equilibrium of the small or of the large LR is better, before the "
        "drop and after it, and which lambda_e is best in a sweep, is reported."
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
        "The drop finds something that lr or weight decay alone has left: too short a phase before it, or a "
        "decay that is not lr * weight_decay."
    ),
    blind=(
        "the shape and the sign of f, which theory does not give; differences smaller than those that a "
        "lambda_e 1.7 times as large would make; whatever changes all populations alike. Flows at two "
        "lambda_e have one effective LR only as far as the gradient noise has one size, so the sweep after "
        "the flow compares equal numbers of steps, not equal times of flow."
    ),
)

THETA = 0.25
"""Share of what eight times lambda_e makes that counts as none; as the loss is near linear in log lambda_e,
less than a factor 8^(1/4) = 1.7 in lambda_e would make it."""

LEVELS = (6.4e-2, 3.2e-2, 1.6e-2, 8e-3, 4e-3, 2e-3)
LOWER = (*LEVELS, 1e-3, 5e-4)
PAIR = (8e-3, 6.4e-2)


def sweeps(profile: Profile, seed: int) -> tuple[FlowSweep, ...]:
    """Few digits with clean labels; beyond ``quick`` more digits and a LayerNorm net, labels redrawn.

    ``planned`` is beyond the largest sd and below the smallest effect, 64 runs of another seed.
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
            net=MLPSpec(inputs=16, widths=(32, 32), classes=10, norm=NormSpec(kind="layer")),
            data=TeacherStudentSpec(inputs=16, classes=10, examples=512, label_noise=0.5),
            levels=LOWER,
            pair=PAIR,
            planned={"held-out loss": (0.085, 0.55), "training loss": (0.07, 0.58)},
        ),
    )


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """One unit a sweep, one decision a metric at either lambda_e of the pair."""
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {sweep.title}",
            subject=msgspec.to_builtins(sweep),
            decisions=tuple(_decision(sweep, level, metric) for level in sweep.pair for metric in METRICS),
        )
        for sweep in sweeps(profile, seed)
    )


def judge(subject: dict[str, Any], context: Context, *, rule: UpdateRule | Rule = plain) -> Judged:
    """Judge both levels right after the drop, report the rest; tests plant defects through ``rule``."""
    sweep = msgspec.convert(subject, type=FlowSweep)
    runs = FlowRuns(sweep, context, rule)
    flow, curve = (file_name(TEXT.id, sweep.title, part) for part in ("flow", "sweep"))
    findings: list[Finding] = []
    used = 0
    for level in sweep.pair:
        for metric in METRICS:
            examination = _examine(runs, level, metric, context)
            n = examination.runs_used
            used = max(used, n)
            findings.append(
                finding_of(
                    examination,
                    form="transfer",
                    group=f"lambda_e {level:g}: {metric} right after the drop",
                    subject=subject,
                    n_steps=sweep.course(level).steps if n else 0,
                    figure=flow if n else "",
                    message=cells(runs, metric, n) if n else "",
                )
            )
    if not used:
        return Judged(tuple(findings))
    findings += [
        sign(runs, "training loss", 0, used, subject, flow),
        sign(runs, "held-out loss", 0, used, subject, flow),
        sign(runs, "training loss", RIGHT_AFTER, used, subject, flow),
        sign(runs, "held-out loss", RIGHT_AFTER, used, subject, flow),
        optimum(runs, "at equilibrium", 0, subject, curve),
        optimum(runs, "after the flow", FLOW_STEPS, subject, curve),
    ]
    return Judged(tuple(findings), (flow_figure(runs, used, flow), sweep_figure(runs, curve)))


def _decision(sweep: FlowSweep, level: float, metric: Metric) -> str:
    return f"{TEXT.id}/{sweep.title}/{level:g}/{metric}"


def _examine(runs: FlowRuns, level: float, metric: Metric, context: Context) -> Examination:
    sweep = runs.sweep
    sd, effect = sweep.planned[metric]
    design = ContrastEquivalence(
        estimand=f"{metric}: difference of two LRs at equal lambda_e, less {THETA:g} of the control's",
        theta=THETA,
        margin_reason=f"{THETA:g} of the difference that lambda_e = {sweep.other(level):g} makes",
        looks=sweep.looks,
        false_fail=context.alpha(_decision(sweep, level, metric)),
        sd=sd,
        effect=effect,
    )
    return examine(
        design,
        lambda n: (
            runs.read(metric, level, RIGHT_AFTER, n),
            runs.read(metric, level, RIGHT_AFTER, n, sweep.small_lr),
            runs.read(metric, sweep.other(level), RIGHT_AFTER, n),
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
