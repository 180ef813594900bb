"""A family that orthogonalises does so for every matrix, not only for one entry in each row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.evidence import Margin, Measured
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.reference import ReferenceImplementation
from ilr_check.optim.contracts.running import plain

ORDER = 19
SHAPES = ((6, 6), (4, 8), (8, 3))
STEPS = 3
CONDITION = 4.0
"""The largest over the smallest singular value of each gradient; five iterations reach all of them."""
MARGIN = 0.25
"""Relative distance in the Frobenius norm. The products of one iteration in bfloat16 (u = 2^-8) err by at
most u (2 |b| + 3 |c|) = 0.06 of a matrix of norm 1. Later iterations hand errors on by a factor of at most
1.7 near 1, so that four such errors are a generous bound. An iteration entry by entry is further off than the
size of the step."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the other laws use general gradients already."""
    reason = needs("lr")(subject)
    if reason or subject.contract is None:
        return reason
    return "" if subject.contract.gradients != "any" else "its other laws use general gradients already"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge square, wide and tall matrices with singular values between 1/2 and 2."""
    contract = subject.contract
    assert contract is not None
    for setting in subject.settings:
        for shape in SHAPES:
            rng = circumstances.generator(str(setting), shape)
            gradients = [[_matrix(rng, shape)] for _ in range(STEPS)]
            start = np.zeros(shape)
            hyper: dict[str, Any] = {**setting, "lr": 0.5}
            if subject.can_vary("weight_decay"):
                hyper["weight_decay"] = 0.0
            measured = record_trajectory(subject, [start], gradients, **hyper)
            book = ReferenceImplementation(contract, [start], measured.hyper)
            off = 0.0
            for step in measured.steps:
                (expected,) = book.step(step.gradients, weights=step.before)
                moved, meant = step.after[0] - step.before[0], plain(expected) - step.before[0]
                off = max(off, float(np.linalg.norm(moved - meant) / np.linalg.norm(meant)))
            rows, columns = shape
            yield Reading(
                group=f"{rows} x {columns}, {subject.words(setting)}",
                verdict="holds" if off <= MARGIN else "violated",
                quantity="distance of the step from the reference, relative to its norm",
                measured=Measured(value=off if np.isfinite(off) else None),
                expected=0.0,
                margin=Margin(low=0.0, high=MARGIN),
                message=f"the steps are {off:.3g} of their size away from the reference implementation's",
                diagnosis=""
                if off <= MARGIN
                else f"a general {rows} x {columns} gradient is not orthogonalised as the family does: "
                f"the step is {off:.3g} of its size away",
                n_steps=STEPS,
                detectable=MARGIN,
            )


def _matrix(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Return a matrix with random singular vectors and log-evenly spaced singular values."""
    left, _, right = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    singular = np.geomspace(CONDITION**-0.5, CONDITION**0.5, min(shape))
    return (left * singular) @ right


LAW = GateLaw(
    text=law_text(
        "general-matrices",
        "Every matrix is orthogonalised",
        "For general matrices the step is the reference implementation's, as far as bfloat16 shows it.",
        equation="|w′ − reference(w, g)| ≤ |step| / 4, for g with singular values from 1/2 to 2",
        source="Jordan et al. 2024, Muon: Newton-Schulz on the matrix, not on its entries",
        meaning="The iteration runs entry by entry, or a product is transposed or left out.",
        rivals=("p(x) entry by entry", "the normalised matrix itself"),
    ),
    tier="exact",
    blind_to="matrices with tiny singular values, which five iterations do not reach",
    check=check,
    applies=applies,
)
