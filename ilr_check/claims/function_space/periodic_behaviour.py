"""Full-batch descent with weight decay at late times: loss spikes, or a stay at the edge of stability."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Judged, Profile
from ilr_check.claims.findings import reported
from ilr_check.claims.function_space.trainings.loss_spikes import LateDescent, SpikeCell, SpikeRuns
from ilr_check.claims.function_space.trainings.spike_designs import (
    EDGE,
    GROWTH,
    NOISE,
    SLOPE,
    design,
    mistakes,
    parts,
)
from ilr_check.claims.function_space.trainings.spike_figures import path_figure, period_figure
from ilr_check.claims.law import Part, StatisticalLaw, file_name
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText, Measured
from ilr_check.nets.specs import MLPSpec, NormSpec

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="periodic-behaviour",
    title="Past the edge of stability: periodic loss spikes, or a stay",
    statement=(
        "Where a net can fit its data, full-batch descent with decay is periodic. The effective LR Phi = "
        "lr/norm^2 grows by the factor exp(-2 log(1 - lambda_e)) a step until Phi lambda_max = 2, the edge "
        "of stability, is passed; then a loss spike lowers it again. lambda_max is the largest curvature of "
        "the loss at unit norm, and lambda_e = lr * weight decay. The time between spikes is proportional to "
        "1/lambda_e, and noise changes it by a logarithm only. Where the net cannot fit its data, the run "
        "stays at Phi lambda_max = 2 and its steps undo each other."
    ),
    equation="log Φ ↑ −2·log(1 − λₑ) a step,  period ∝ 1/λₑ,  spike at Φ·λ_max = 2·(1 + O(√λₑ))",
    source=(
        "Lobacheva, Kodryan et al. 2021 (periods); Lyu, Li, Arora 2022 (the edge); Li, Lyu, Arora 2020, "
        "section on gradient descent"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=(
        "stays at the edge",
        "loss spikes",
        "rate lambda_e",
        "rate 4 lambda_e",
        "slope 1/2",
        "slope 2",
        "edge at Phi lambda_max = 1",
        "edge at Phi lambda_max = 4",
        "period set by the floor of noise",
        "steps without memory",
        "flow",
    ),
    meaning=(
        "Decay does not shrink the weights by lr * weight_decay a step, or the step is not lr times the "
        "gradient, so that another curvature limits it."
    ),
    blind=(
        "which net has which regime: a picture of one mode says only that a minimum between exponential "
        "tails gives spikes and that a minimum that cannot be reached keeps the run at the edge. How far Phi "
        "falls in a spike, and so the constant in the period, is not derived. At the edge the rate of decay "
        "has no effect."
    ),
)

FIT, ORDER_ONE = 10.0, 1.0
"""The scale of the fixed head: logits that can fit every label, and logits that cannot."""


def _net(head_scale: float, widths: tuple[int, ...] = (16,), norm: NormSpec | None = None) -> MLPSpec:
    return MLPSpec(
        inputs=64, widths=widths, classes=10, norm=norm or NormSpec(kind="batch"), head_scale=head_scale
    )


def _periodic(title: str, net: MLPSpec) -> LateDescent:
    return LateDescent(
        title=title,
        regime="periodic",
        net=net,
        data=DigitsSpec(),
        levels=(0.032, 0.02, 0.0125, 0.008),
        edge_levels=(0.008,),
        noise_level=0.02,
        noises=(1e-3, 1e-1),
    )


def _steady(title: str, net: MLPSpec) -> LateDescent:
    levels = (0.0025, 0.01)
    return LateDescent(
        title=title,
        regime="steady",
        net=net,
        data=DigitsSpec(),
        levels=levels,
        edge_levels=levels,
        window=2.0,
    )


def experiments(profile: Profile, seed: int) -> tuple[LateDescent, ...]:
    """Return two scales of the head; beyond ``quick`` other nets, and a scale between without a verdict."""
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


def sample(runs: SpikeRuns, part: Part, n: int) -> Any:
    """Return what a part judges, [n] or one sample for each level."""
    descent = runs.descent
    lowest = SpikeCell(intrinsic_lr=min(descent.edge_levels))
    if part is GROWTH:
        return runs.growth(lowest, n)
    if part is EDGE:
        return (runs.before_spikes if descent.regime == "periodic" else runs.at_states)(lowest, n)
    if part is SLOPE:
        return tuple(runs.gaps(SpikeCell(intrinsic_lr=level), n) for level in descent.levels)
    if part is NOISE:
        weak, strong = (SpikeCell(intrinsic_lr=descent.noise_level, noise=noise) for noise in descent.noises)
        return np.log(runs.gaps(strong, n)) - np.log(runs.gaps(weak, n))
    return runs.along(lowest, n)


def closing(descent: LateDescent, runs: SpikeRuns, subject: dict[str, Any], n: int) -> Judged:
    """Report where the runs are at a random time, and draw their paths and periods."""
    path, periods = (file_name(TEXT.id, descent.title, figure) for figure in ("path", "periods"))
    answer = _answer(runs, n or descent.looks[-1], subject=subject, figure=path)
    drawn = [path_figure(descent, runs, path)]
    if SLOPE in parts(descent):
        drawn.append(period_figure(descent, runs, n, periods))
    return Judged((answer,), tuple(drawn))


def _answer(runs: SpikeRuns, n: int, **about: Any) -> Finding:
    """Return where the runs are at a random time, which is not judged."""
    descent = runs.descent
    cells = [SpikeCell(intrinsic_lr=level) for level in descent.edge_levels]
    logs = [runs.at_states(cell, n) for cell in cells]
    low = min(cells, key=lambda cell: cell.intrinsic_lr)
    middle, error = float(logs[0].mean()), float(logs[0].std(ddof=1) / math.sqrt(n))
    at = cells[0].intrinsic_lr
    edges = ", ".join(
        f"{math.exp(log.mean()):.3g} (sd of a run {log.std(ddof=1):.2g}) at lambda_e = {cell.intrinsic_lr:g}"
        for cell, log in zip(cells, logs, strict=True)
    )
    each = ", ".join(
        f"{runs.counts(cell, n).mean() / descent.window:.2g} at lambda_e = {cell.intrinsic_lr:g}"
        for cell in descent.cells
        if not cell.noise
    )
    return reported(
        group="where the run is",
        quantity=f"log(Phi lambda_max / 2), median over states of a run, lambda_e = {at:g}",
        measured=Measured(value=middle, low=middle - 4.0 * error, high=middle + 4.0 * error),
        n_runs=n,
        dtype="float64",
        message=(
            f"median Phi lambda_max / 2 is {edges}; loss spikes per 1/lambda_e: "
            f"{each}; growth between marks over that of free decay {runs.growth(low, n).mean():.3g}; "
            "interval of 4 standard errors"
        ),
        n_steps=steps_of_all(descent),
        **about,
    )


def steps_of_all(descent: LateDescent) -> int:
    """Return the steps of one run of every cell."""
    return sum(map(descent.steps, descent.cells))


LAW = StatisticalLaw(
    text=TEXT,
    spec=LateDescent,
    experiments=experiments,
    run_steps=lambda descent: descent.looks[0] * steps_of_all(descent),
    trained=SpikeRuns,
    parts=parts,
    design=design,
    mistakes=mistakes,
    sample=sample,
    steps=lambda descent, part: steps_of_all(descent),
    form="prediction",
    findings=lambda seen, main: (replace(main, dtype="float64"),),
    closing=closing,
)
CLAIM = LAW.claim()
"""Runs differ by their initial weights, and under noise by its draws."""
