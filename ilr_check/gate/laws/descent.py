"""The first step goes downhill and moves every entry that has a gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.evidence import Margin, Measured
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.serving import draws_numbers
from ilr_check.gate.stimuli.silence import NEAR_ZERO, moves_near_zero_alone, silent_steps
from ilr_check.gate.subject import Subject

ORDER = 5
STEPS, MANY = 2, 16
"""An optimizer that draws random numbers may pass over half of its steps."""
BESIDE: Mapping[str, tuple[int, ...]] = {"a vector": (3,), "a tensor of four axes": (2, 1, 2, 2)}
"""Tensors of other shapes, each beside a matrix."""
FACTOR, LONGER, SHORTER = 64.0, 4, 0.5
"""Steps of degree 0 in the gradient keep their length and those of degree -1 fall to a 64th. Half of it is
the middle of degree -1/6, far from both."""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the cosine between the first step and the gradient, without decay."""
    rng = circumstances.generator()
    scale = NEAR_ZERO if moves_near_zero_alone(subject) else 1.0
    start = rng.uniform(0.5, 2.0, size=(3, 3)) * scale
    gradient = np.eye(3)[rng.permutation(3)] * rng.choice((-1.0, 1.0), size=3)
    hyper: dict[str, Any] = {"lr": 0.01} if subject.can_vary("lr") else {}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = 0.0
    # Some optimizers collect moments first: schedule-free RAdam moves nothing in its first five steps.
    steps = (MANY if draws_numbers(subject) else STEPS) + silent_steps(subject)
    trajectory = record_trajectory(subject, [start], [[gradient]] * steps, **hyper)
    moved = np.sum([trajectory.moved(t) for t in range(steps)], axis=0)
    size = float(np.linalg.norm(moved) * np.linalg.norm(gradient))
    cosine = float(np.sum(moved * gradient)) / size if size else 0.0
    words = "uphill" if cosine > 0 else "nowhere" if size == 0 else "sideways"
    good = cosine < 0 and bool(np.all(np.isfinite(moved)))
    yield Reading(
        group="two steps",
        verdict="holds" if good else "violated",
        quantity="cosine of step and gradient",
        measured=Measured(value=cosine),
        expected=-1.0,
        margin=Margin(high=0.0),
        message=f"{steps} steps along one gradient have cosine {cosine:.4g} with it",
        diagnosis="" if good else f"the step goes {words}: its cosine with the gradient is {cosine:.4g}",
        n_steps=steps,
    )
    for words, shape in BESIDE.items() if good else ():
        yield from _beside(subject, words, scale * np.ones(shape), start, gradient, hyper, steps)
    yield _larger(subject, start, hyper, circumstances)


def _beside(
    subject: Subject,
    words: str,
    beside: NDArray[np.float64],
    start: NDArray[np.float64],
    gradient: NDArray[np.float64],
    hyper: dict[str, Any],
    steps: int,
) -> Iterable[Reading]:
    """Judge a tensor of another shape beside a matrix, where both are accepted.

    The reference of some families has matrices alone, and a wrapper steps the other tensors itself.
    """
    rows = [[gradient, np.ones(beside.shape)]] * steps
    try:
        trajectory = record_trajectory(subject, [start, beside], rows, **hyper)
    except Exception:  # it takes matrices alone, or another law tells what it raises
        return
    moved = trajectory.steps[-1].after[1] - trajectory.starts[1]
    down = float(np.sum(moved)) < 0 and bool(np.all(np.isfinite(moved)))
    yield fact_reading(
        down,
        group=f"{words} beside a matrix",
        message=f"{steps} steps along one gradient move it by {float(np.sum(moved)):.4g} in all",
        diagnosis=f"beside a matrix, {words} is never stepped"
        if not moved.any()
        else f"beside a matrix, {words} does not go downhill",
        n_steps=steps,
    )


def _larger(
    subject: Subject, start: NDArray[np.float64], hyper: dict[str, Any], circumstances: Circumstances
) -> Reading:
    """Judge whether larger gradients, all by one factor, make the way shorter."""
    steps = LONGER + silent_steps(subject)
    rows = circumstances.generator("larger").normal(size=(steps, *start.shape))
    ways = []
    for factor in (1.0, FACTOR):
        trajectory = record_trajectory(subject, [start], [[factor * row] for row in rows], **hyper)
        ways.append(sum(float(np.linalg.norm(trajectory.moved(t))) for t in range(steps)))
    ratio = ways[1] / ways[0] if ways[0] else 1.0
    shrinks = np.isfinite(ratio) and ratio < SHORTER
    return fact_reading(
        not shrinks,
        group="larger gradients",
        message=f"with {FACTOR:g} times the gradients the way of {steps} steps is {ratio:.4g} times as long",
        diagnosis=f"the larger the gradient, the smaller the step: with {FACTOR:g} times the gradients the "
        f"way is {ratio:.4g} times as long, so something is divided by too high a power of the gradient",
        n_steps=steps,
    )


LAW = GateLaw(
    text=law_text(
        "descent",
        "The step goes downhill",
        "Two steps along one gradient have a negative product with it, and larger gradients do not make the "
        "steps smaller.",
        equation="⟨Δw, g⟩ < 0",
        source="what an optimizer is for; needs no contract",
        meaning="The sign of the step is wrong, or nothing moves, or the weights are not finite.",
    ),
    tier="exact",
    blind_to="the size of the step",
    check=check,
    counts_draws=True,
    milder={"larger gradients": ("fragility", "an optimizer may measure curvature by the gradient")},
)
