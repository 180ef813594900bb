"""Batch size: the trace falls as 1/B, lambda_e / B is the temperature, and linear scaling has an end."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import numpy as np

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.mean_field.trainings import scaling_rule, temperature
from ilr_check.claims.mean_field.trainings.batch_noise import Sampler, TraceRuns, Traces, drawn
from ilr_check.claims.mean_field.trainings.grid import Cell
from ilr_check.claims.mean_field.trainings.scaling_rule import Ladder, judge_ladder, ladder_decisions
from ilr_check.claims.mean_field.trainings.temperature import Temperature, judge_limit
from ilr_check.claims.populations import decision_name, file_name, finding_of, judged_groups
from ilr_check.claims.settings.nets import GROUP_NORMED, LAYER_NORMED, STUDENT
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.stats import MeanEquivalence, Rival, examine

TEXT = ClaimText(
    id="batch-size",
    title="Batch size is temperature",
    statement=(
        "Of batches drawn with replacement the trace of the noise falls as 1/B, and sets the norm together "
        "with the mean gradient, whose part ends the linear scaling of lr with B. In the limit of small "
        "steps loss and effective LR / B at equilibrium depend on lambda_e / B alone."
    ),
    equation="Tr Σ_B = Tr Σ₁/B,  r⁴ = η²(‖∇L‖² + Tr Σ₁/B)/(1 − a²),  f(λₑ/B) as λₑ → 0",
    source="theory of Li, Lyu, Arora 2020 at several B, which it leaves out; asked by reviewers 2 and 3",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=(
        *scaling_rule.POWERS,
        scaling_rule.NO_BREAK,
        scaling_rule.NOISE_ALONE,
        *temperature.RIVALS,
    ),
    meaning=(
        "Batches are not independent draws (without replacement, repeated examples, an accumulation that "
        "loses a part), the gradient is not their mean, or weight decay is not lr * weight_decay."
    ),
    blind=(
        "batch-normed nets, where B is part of the loss; how large the effect of finite lambda_e on the loss "
        "is, which is reported and not judged."
    ),
)

SLOPE_TOLERANCE = 0.03
"""What we tolerate in the power of B; without replacement it would be -1.1 for the sizes and sets here."""

PLANNED_LIMIT = {"loss": (0.025, 0.18), "temperature": (800.0, 19_000.0)}
"""The largest sd of a population's limit and the smallest effect of the control, LayerNorm net, seed 99."""


def subjects(profile: Profile) -> tuple[Traces | Ladder | Temperature, ...]:
    """A LayerNorm net; a GroupNorm net too beyond ``quick``."""
    nets = {"LayerNorm net": LAYER_NORMED}
    if profile != "quick":
        nets["GroupNorm net"] = GROUP_NORMED
    found: list[Traces | Ladder | Temperature] = []
    for name, net in nets.items():
        by_lr = name == "LayerNorm net"
        found += [
            Traces(title=f"trace, {name}", net=net, data=STUDENT),
            Ladder(
                title=f"linear scaling, {name}",
                net=net,
                data=STUDENT,
                cells=tuple(Cell(lr=0.5 * k, weight_decay=0.032, batch_size=16 * k) for k in (1, 2, 4, 8)),
                probe_size=64,
                ratios=(0.3, 0.7),
                planned_sd=0.06,
                break_sd=0.25,
                looks=(64, 128),
            ),
            temperature.temperature(
                f"limit, {name}",
                net,
                STUDENT,
                reference=Cell(lr=0.5, weight_decay=0.032, batch_size=8),
                factor=4,
                by="lr" if by_lr else "weight_decay",
                planned=PLANNED_LIMIT,
            ),
        ]
    return tuple(found)


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """Three units a net."""
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {subject.title}",
            subject=msgspec.to_builtins(subject),
            decisions=_decisions(subject),
        )
        for subject in subjects(profile)
    )


def _decisions(subject: Traces | Ladder | Temperature) -> tuple[str, ...]:
    if isinstance(subject, Ladder):
        return ladder_decisions(TEXT.id, subject)
    if isinstance(subject, Temperature):
        return temperature.decisions(TEXT.id, subject)
    return tuple(decision_name(TEXT.id, subject, group) for group in judged_groups(subject.net))


def judge(subject: dict[str, Any], context: Context, *, sampler: Sampler = drawn, **planted: Any) -> Judged:
    """Judge one part on one net; tests plant defects."""
    part = msgspec.convert(subject, type=Traces | Ladder | Temperature)
    if isinstance(part, Ladder):
        return judge_ladder(TEXT.id, part, context, **planted)
    if isinstance(part, Temperature):
        return judge_limit(TEXT.id, part, context, **planted)
    return judge_trace(part, context, sampler)


def judge_trace(traces: Traces, context: Context, sampler: Sampler) -> Judged:
    """Judge the power of B in the trace of every group."""
    runs = TraceRuns(traces, context, sampler)
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(traces.net).items():
        design = MeanEquivalence(
            estimand="slope of log Tr Sigma_B against log B",
            theory=-1.0,
            margin=(-1.0 - SLOPE_TOLERANCE, -1.0 + SLOPE_TOLERANCE),
            margin_reason=(
                f"tolerance {SLOPE_TOLERANCE}; the log of a mean over {traces.pairs} pairs is low by half "
                "its relative variance, which is about the same at every size"
            ),
            rivals=tuple(
                Rival(name=name, expected=0.0 - power) for name, power in scaling_rule.POWERS.items()
            ),
            looks=traces.looks,
            false_fail=context.alpha(decision_name(TEXT.id, traces, group)),
            sd=traces.planned_sd,
        )
        examination = examine(design, partial(runs.slopes, tensors))
        n = examination.runs_used
        if n:
            figures.append(_figure(traces, runs, group, tensors, n))
        findings.append(
            finding_of(
                examination,
                form="raw",
                group=group,
                subject=msgspec.to_builtins(traces),
                n_steps=traces.pairs if n else 0,
                figure=figures[-1].name if n else "",
            )
        )
    return Judged(tuple(findings), tuple(figures))


def _figure(traces: Traces, runs: TraceRuns, group: str, tensors: tuple[str, ...], n: int) -> Figure:
    x = np.array(traces.sizes, dtype=np.float64)
    logs = np.log(runs.of_group(tensors, n))
    logs = logs - logs.mean()
    y, error = logs.mean(axis=0), 4.0 * logs.std(axis=0, ddof=1) / np.sqrt(n)
    middle = np.exp(np.log(x).mean())
    return Figure(
        name=file_name(TEXT.id, traces.title, group),
        title=f"{traces.title}, {group}",
        x_label="batch size",
        y_label="trace of the noise, 1 in the middle",
        x_log=True,
        y_log=True,
        series=(
            Series(name="theory", kind="line", role="predicted", x=x, y=middle / x),
            Series(
                name="measured (4 standard errors)",
                kind="interval",
                role="measured",
                x=x,
                y=np.exp(y),
                low=np.exp(y - error),
                high=np.exp(y + error),
            ),
            *(
                Series(name=f"rival: {name}", kind="line", role="rival", x=x, y=(middle / x) ** power)
                for name, power in scaling_rule.POWERS.items()
            ),
        ),
        caption="Half the squared distance of two batch gradients at the same random weights.",
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
