"""Algebra that every run of a fleet must obey for any noise; it judges the trainer and not the theory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.nets.build import parameter_shapes
from ilr_check.nets.specs import NetSpec
from ilr_check.theory.rounding import UNIT_ROUNDOFF, accumulated
from ilr_check.train.trace import GroupTrace

Array = NDArray[np.float64]


def longest_sum(net: NetSpec, tensors: tuple[str, ...]) -> int:
    """Return how many additions a number passes through in the two-stage sums of the fleet.

    It is fan-in plus number of rows, of the tensor that has most. The tensors of a group are added in
    float64, and the relative error of a sum of squares is at most that of its worst term. The bounds below
    are convex in the sizes of the tensors.
    """
    shapes = parameter_shapes(net)
    return max(shapes[name][0] + math.prod(shapes[name][1:]) for name in tensors)


def immediate_drop(
    traces: Sequence[GroupTrace],
    *,
    step: int,
    factor: float,
    rivals: Mapping[str, float],
    terms: int,
    group: str,
    subject: dict[str, Any],
    figure: str,
) -> Finding:
    """Judge that the effective LR falls by ``factor`` in the step of the change, up to rounding.

    tan(rotation) / (||g|| r) is lr / (a r^2), which needs no knowledge of lr. ``rivals`` give other factors.

    Rounding: w' has an error of u ||w'||, and the rotation moves w by tan * ||w||, so tan is known to
    u / tan. Each of the five measured sums has an error of gamma_terms. A gradient that is not quite
    orthogonal adds its cosine. In a group of several tensors the growth of each, known to 2 gamma_terms,
    also enters.
    """
    u, worst, bound, runs = UNIT_ROUNDOFF["float32"], 0.0, 1.0, 0
    for trace in traces:
        lr = trace.tangent * (1.0 - trace.lr * trace.weight_decay) / np.sqrt(trace.grad2 / trace.norm2)
        ratio = lr[step] / lr[step - 1]
        cosine = np.abs(trace.radial) / np.sqrt(trace.norm2 * trace.grad2)
        smallest = np.minimum(trace.tangent[step], trace.tangent[step - 1])
        limit = (
            (8.0 * u + (4.0 * accumulated(terms, "float32") if len(trace.names) > 1 else 0.0)) / smallest
            + 10.0 * accumulated(terms, "float32")
            + 4.0 * cosine[step - 1 : step + 1].max(axis=0)
        )
        used = np.abs(np.log(ratio * factor)) / limit
        runs += used.size
        if used.max() >= worst:
            worst, bound = float(used.max()), float(limit[int(used.argmax())])
    return _finding(
        worst,
        "|log(fall of the effective LR / theory)| at the change / rounding bound",
        form="exact",
        rivals={name: abs(math.log(other / factor)) / bound for name, other in rivals.items()},
        message=f"effective LR divided by {factor:g} in the step of the change, in each of {runs} runs",
        runs=runs,
        steps=1,
        group=group,
        subject=subject,
        figure=figure,
    )


def norm_identity(
    traces: Sequence[GroupTrace],
    *,
    terms: int,
    group: str,
    subject: dict[str, Any],
    figure: str,
) -> Finding:
    """Judge r'^2 = a^2 r^2 + lr^2 ||g||^2 - 2 lr a <g, w> with each run's own gradients, at every step.

    With the measured <g, w> this is algebra about the update, in the precision of the fleet. That <g, w>
    vanishes is another claim, gradient-orthogonality. The bound is that of the recursion of the norm, with
    sums in the precision of the fleet.
    """
    worst, where, runs = 0.0, (0, 0), 0
    rivals = {"a instead of a^2": 0.0, "decay after the step": 0.0}
    for trace in traces:
        a = 1.0 - trace.lr * trace.weight_decay
        kick = trace.lr**2 * trace.grad2
        size = np.sqrt(trace.norm2) * (1.0 + trace.lr * trace.weight_decay) + np.sqrt(kick)
        bound = (13.0 * UNIT_ROUNDOFF["float32"] + 4.0 * accumulated(terms, "float32")) * size**2
        residual = trace.next_norm2 - (a**2 * trace.norm2 + kick - 2.0 * trace.lr * a * trace.radial)
        ratio = np.abs(residual) / bound
        for name, shift in (
            ("a instead of a^2", (a**2 - a) * trace.norm2),
            ("decay after the step", (1.0 - a**2) * kick),
        ):
            rivals[name] = max(rivals[name], float((np.abs(residual + shift) / bound).max()))
        if ratio.max() > worst:
            worst = float(ratio.max())
            step, run = np.unravel_index(int(ratio.argmax()), ratio.shape)
            where = (int(step), runs + int(run))
        runs += trace.norm2.shape[1]
    return _finding(
        worst,
        "|norm residual| / rounding bound",
        form="identity",
        rivals=rivals,
        message=f"the recursion with each run's own gradients; largest in run {where[1]}, step {where[0]}",
        runs=runs,
        steps=traces[0].norm2.shape[0],
        group=group,
        subject=subject,
        figure=figure,
    )


def _finding(
    worst: float,
    quantity: str,
    *,
    form: Any,
    rivals: dict[str, float],
    message: str,
    runs: int,
    steps: int,
    group: str,
    subject: dict[str, Any],
    figure: str,
) -> Finding:
    missed = [name for name, ratio in rivals.items() if not ratio > 1.0]
    return Finding(
        form=form,
        group=group,
        subject=subject,
        verdict="violated" if not worst <= 1.0 else "inconclusive" if missed else "holds",
        quantity=quantity,
        measured=Measured(value=worst),
        expected=0.0,
        margin=Margin(low=0.0, high=1.0),
        detectable=1.0,
        rivals=tuple(RivalOutcome(name=n, expected=r, excluded=r > 1.0) for n, r in rivals.items()),
        n_runs=runs,
        n_steps=steps,
        dtype="float32",
        figure=figure,
        message=message,
    )
