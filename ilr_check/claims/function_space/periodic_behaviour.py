"""Full-batch descent with weight decay at late times: bursts every O(1/lambda_e), or a seat on the edge."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.function_space.trainings.burst_designs import (
    EDGE,
    GROWTH,
    NOISE,
    SLOPE,
    UNDO,
    designs_of,
    parts_of,
)
from ilr_check.claims.function_space.trainings.burst_figures import path_figure, period_figure
from ilr_check.claims.function_space.trainings.bursts import Bursting, BurstRuns, Cell
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText, Margin, Measured
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import Examination, examine

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="periodic-behaviour",
    title="Past the edge: bursts with a period of order 1/lambda_e, or a seat on the edge",
    statement=(
        "Where a net fits its data, full-batch descent with decay is periodic: Phi grows by -2 log(1 - "
        "lambda_e) a step until Phi lambda_max = 2 is passed, and a burst throws it back; the time between "
        "bursts is proportional to 1/lambda_e, and noise enters it by a logarithm only. Where the net cannot "
        "fit, the run sits at Phi lambda_max = 2 and its steps undo each other."
    ),
    equation="log Φ ↑ −2·log(1 − λₑ) a step,  gap ∝ 1/λₑ,  burst at Φ·λ_max = 2·(1 + O(√λₑ))",
    source=(
        "Lobacheva, Kodryan et al. 2021 (periods); Lyu, Li, Arora 2022 (the edge); Li, Lyu, Arora 2020, "
        "section on gradient descent"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=(
        "sits on the edge",
        "bursts",
        "rate lambda_e",
        "rate 4 lambda_e",
        "slope 1/2",
        "slope 2",
        "edge at Phi lambda_max = 1",
        "edge at Phi lambda_max = 4",
        "gap set by the floor of noise",
        "steps without memory",
        "flow",
    ),
    meaning=(
        "Decay does not shrink the weights by lr * weight_decay a step, or the step is not lr times the "
        "gradient, so that another curvature limits it."
    ),
    blind=(
        "which nets do which: a picture of one mode says that a minimum between exponential tails throws the "
        "run out and one that nothing fits holds it, and no more. How far Φ falls in a burst, so the "
        "constant in the period, is not derived. On the edge the rate of decay is not seen."
    ),
)

FIT, ORDER_ONE = 10.0, 1.0
"""Scale of the fixed head: logits that can fit every label and logits that can not."""


def _net(head_scale: float, widths: tuple[int, ...] = (16,), norm: NormSpec | None = None) -> MLPSpec:
    return MLPSpec(
        inputs=64, widths=widths, classes=10, norm=norm or NormSpec(kind="batch"), head_scale=head_scale
    )


def _periodic(title: str, net: MLPSpec) -> Bursting:
    return Bursting(
        title=title,
        regime="periodic",
        net=net,
        data=DigitsSpec(),
        levels=(0.032, 0.02, 0.0125, 0.008),
        edge_levels=(0.008,),
        noise_level=0.02,
        noises=(1e-3, 1e-1),
    )


def _steady(title: str, net: MLPSpec) -> Bursting:
    levels = (0.0025, 0.01)
    return Bursting(
        title=title,
        regime="steady",
        net=net,
        data=DigitsSpec(),
        levels=levels,
        edge_levels=levels,
        window=2.0,
    )


def experiments(profile: Profile) -> tuple[Bursting, ...]:
    """Two scales of the head; beyond ``quick`` other nets, and a scale between, of which nothing is said."""
    quick = (
        _periodic("64 digits, logits that fit", _net(FIT)),
        _steady("64 digits, logits of order 1", _net(ORDER_ONE)),
    )
    if profile == "quick":
        return quick
    between = _steady("64 digits, logits between", _net(3.0))
    return (
        *quick,
        _periodic("two hidden layers, logits that fit", _net(FIT, (16, 16))),
        _steady("LayerNorm, logits of order 1", _net(ORDER_ONE, norm=NormSpec(kind="layer"))),
        msgspec.structs.replace(between, regime="open", window=9.0),
    )


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """One unit a net, with the decisions of its regime."""
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {bursting.title}",
            subject=msgspec.to_builtins(bursting),
            decisions=tuple(_decision(bursting, part) for part in parts_of(bursting)),
        )
        for bursting in experiments(profile)
    )


def _decision(bursting: Bursting, part: str) -> str:
    return f"{TEXT.id}/{bursting.title}/{part}"


def judge(subject: dict[str, Any], context: Context, *, rule: UpdateRule = plain) -> Judged:
    """Judge the late times of one net; tests plant defects through ``rule``."""
    bursting = msgspec.convert(subject, type=Bursting)
    runs = BurstRuns(bursting, context, rule=rule)
    n = bursting.looks[-1]
    alphas = {part: context.alpha(_decision(bursting, part)) for part in parts_of(bursting)}
    designs = designs_of(bursting, alphas)
    readings = readings_of(bursting, runs)
    path, periods = (file_name(TEXT.id, bursting.title, kind) for kind in ("path", "periods"))
    about: dict[str, Any] = {"subject": subject, "n_steps": sum(bursting.steps(c) for c in bursting.cells)}
    findings: list[Finding] = []
    used = 0
    for part, design in designs.items():
        examination: Examination = examine(design, readings[part])
        used = max(used, examination.runs_used)
        figure = periods if part in (SLOPE, NOISE) and SLOPE in designs else path
        finding = finding_of(examination, form="transfer", group=part, figure=figure, **about)
        findings.append(replace(finding, dtype="float64"))
    if designs and not used:
        return Judged(tuple(replace(finding, figure="") for finding in findings))
    findings.append(_answer(bursting, runs, used or n, figure=path, **about))
    figures = [path_figure(bursting, runs, path)]
    if SLOPE in designs:
        figures.append(period_figure(bursting, runs, used, periods))
    return Judged(tuple(findings), tuple(figures))


def readings_of(bursting: Bursting, runs: BurstRuns) -> dict[str, Callable[[int], Any]]:
    """What each decision reads of the first n runs."""
    low = Cell(intrinsic_lr=min(bursting.edge_levels))

    def noise(n: int) -> Array:
        weak, strong = (Cell(intrinsic_lr=bursting.noise_level, noise=noise) for noise in bursting.noises)
        return np.asarray(np.log(runs.gaps(strong, n)) - np.log(runs.gaps(weak, n)))

    def gaps(n: int) -> tuple[Array, ...]:
        return tuple(runs.gaps(Cell(intrinsic_lr=level), n) for level in bursting.levels)

    periodic = bursting.regime == "periodic"
    return {
        GROWTH: lambda n: runs.growth(low, n),
        EDGE: lambda n: runs.before_bursts(low, n) if periodic else runs.at_states(low, n),
        SLOPE: gaps,
        NOISE: noise,
        UNDO: lambda n: runs.along(low, n),
    }


def _answer(bursting: Bursting, runs: BurstRuns, n: int, **about: Any) -> Finding:
    """Where the runs are at a random time: the answer that is not a verdict."""
    cells = [Cell(intrinsic_lr=level) for level in bursting.edge_levels]
    logs = [runs.at_states(cell, n) for cell in cells]
    low = cells[0] if len(cells) == 1 else min(cells, key=lambda cell: cell.intrinsic_lr)
    middle, error = float(logs[0].mean()), float(logs[0].std(ddof=1) / math.sqrt(n))
    at = cells[0].intrinsic_lr
    edges = ", ".join(
        f"{math.exp(log.mean()):.3g} (sd of a run {log.std(ddof=1):.2g}) at lambda_e = {cell.intrinsic_lr:g}"
        for cell, log in zip(cells, logs, strict=True)
    )
    each = ", ".join(
        f"{runs.counts(cell, n).mean() / bursting.window:.2g} at lambda_e = {cell.intrinsic_lr:g}"
        for cell in bursting.cells
        if not cell.noise
    )
    return Finding(
        form="raw",
        group="where the run is",
        verdict="skipped",
        quantity=f"log(Phi lambda_max / 2), median over states of a run, lambda_e = {at:g}",
        measured=Measured(value=middle, low=middle - 4.0 * error, high=middle + 4.0 * error),
        expected=None,
        margin=Margin(),
        n_runs=n,
        counts=False,
        message=(
            f"reported, not judged: median Phi lambda_max / 2 is {edges}; bursts per 1/lambda_e: {each}; "
            f"growth between marks over that of free decay {runs.growth(low, n).mean():.3g}; interval of 4 "
            "standard errors"
        ),
        **about,
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
"""Runs differ by their initial weights, and under noise by its draws."""
