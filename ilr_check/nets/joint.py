"""Finds tensors that are scale-invariant only together, from the null space of the matrix of <g_i, w_i>."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_EXPONENT = 8
ROUGHNESS = 0.05
"""How far a computed exponent may be from a whole number. A wrong guess fails when it is confirmed."""


def candidates(
    products: NDArray[np.float64], norms: NDArray[np.float64], tolerance: float
) -> list[tuple[int, ...]]:
    """Return exponents c, one vector per candidate group, with sum_i c_i <g_i, w_i> = 0 in every row.

    If the function does not change under w_i -> s^{c_i} w_i, its derivative at s = 1 vanishes for every batch
    and at every point. So the groups are null vectors of the matrix [rows, tensors]. The null vectors that
    scale nothing down (c >= 0) form a cone. Its extreme rays are the groups that contain no smaller group.
    For each tensor i, the linear program "least sum of c with c_i = 1" finds the ray through it. ``norms``
    are the |g_i||w_i| of the products, and columns are compared in these units, because a tensor to which the
    outputs are insensitive need not be invariant. Singular values below ``tolerance`` count as zero.
    """
    from scipy.optimize import linprog  # the import costs more than all of ilr_check.nets

    rows, tensors = products.shape
    units = np.sqrt(np.mean(norms**2, axis=0))
    if tensors < 2 or rows < tensors or not np.all(units > 0):
        return []
    _, values, right = np.linalg.svd(products / units, full_matrices=False)
    rank = int(np.sum(values > tolerance * np.sqrt(rows)))
    if rank == tensors:
        return []
    # The computed null space is wrong by an angle of about s_null / s_rest (Wedin). The factor 10 covers
    # tensors with different units.
    blur = float(values[rank] / values[rank - 1]) if rank else 0.0
    slack = max(1e-9, 10 * blur)
    found: list[tuple[int, ...]] = []
    for index in range(tensors):
        constraints = right[:rank] * (units / units[index])
        bounds = [(0.0, float(MAX_EXPONENT))] * tensors
        bounds[index] = (1.0, 1.0)
        solved = linprog(
            np.ones(tensors),
            A_ub=np.vstack([constraints, -constraints]) if rank else None,
            b_ub=np.full(2 * rank, slack) if rank else None,
            bounds=bounds,
            method="highs",
        )
        exponents = _whole_numbers(solved.x) if solved.success else None
        if exponents is not None and sum(e > 0 for e in exponents) > 1 and exponents not in found:
            found.append(exponents)
    return found


def _whole_numbers(values: NDArray[np.float64]) -> tuple[int, ...] | None:
    """Return the smallest whole numbers proportional to ``values``, or None if there are none."""
    values = np.where(values < ROUGHNESS, 0.0, values)
    for multiple in (1, 2, 3, 4):
        scaled = values * multiple
        rounded = np.rint(scaled)
        if np.all(np.abs(scaled - rounded) <= ROUGHNESS * multiple) and rounded.max() <= MAX_EXPONENT:
            divisor = int(np.gcd.reduce(rounded.astype(int)))
            return tuple(int(value) // max(divisor, 1) for value in rounded)
    return None
