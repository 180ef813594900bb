"""SVAG: with l times more and smaller steps the norm approaches that of the SDE as 1/l."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import against_theory
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.grid import Grid, GridCell, GridRuns, intercept_weights
from ilr_check.claims.settings.nets import GROUP_NORMED, LAYER_NORMED, STUDENT
from ilr_check.evidence import ClaimText, Figure
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.theory.batches import batch_trace, svag_fourth_power

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="svag",
    title="With smaller steps of equal noise the norm nears the SDE's",
    statement=(
        "SVAG of order l replaces a step of SGD by l steps with learning rate lr / l and the same total "
        "noise. As l grows, training approaches a stochastic differential equation (SDE). The part of r^4, "
        "r = ||w||, that comes from the mean gradient falls as 1/l. What is left is the norm of the SDE, "
        "which depends on the trace of the noise alone."
    ),
    equation="r*⁴(l) = η(Tr Σ + ‖∇L‖²/l)/(λ(2 − ηλ/l)) → ηTr Σ/(2λ)",
    source="SVAG: Li, Malladi, Arora 2021; the SDE: Li, Lyu, Arora 2020, section 5; asked by reviewer 2",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("flat", "1/l^2"),
    meaning=(
        "The two batches of a step are not combined to l times the covariance at the same mean, or lr and "
        "weight decay do not change with the order as stated."
    ),
    blind=(
        "how the trained function changes on the way to the limit, because trace and mean gradient are "
        "measured at each order. How near SGD itself is to the SDE is reported and not judged."
    ),
)

TOLERANCE = 0.1
"""The tolerance, in units of the squared mean gradient ||grad L||^2."""
SPREAD = 0.25
"""Planned Var(G^2) / E(G^2)^2 along a path: 0.04 to 0.06 in a pilot of another seed; see scaling_rule."""
CHANGE = 0.5
"""Planned growth of ||grad L||^2 with 1/l, relative to its value at the largest order.

The pilot had 0.35. This growth bends the line whose intercept is judged.
"""


class Orders(Grid, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cells of growing order; the first is SGD itself.

    ``ratio`` is the planned ||grad L||^2 / Tr Sigma_B, from which the margin follows. ``planned_sd`` is that
    of r^4 over the gain, in units of ||grad L||^2.
    """

    ratio: float

    @property
    def orders(self) -> tuple[float, ...]:
        """l of every cell."""
        return tuple(cell.order for cell in self.cells)


def experiments(profile: Profile, seed: int) -> list[Orders]:
    """Return a LayerNorm net; beyond ``quick`` also a GroupNorm net."""
    nets = {"LayerNorm net": LAYER_NORMED}
    if profile != "quick":
        nets["GroupNorm net"] = GROUP_NORMED
    return [
        Orders(
            title=title,
            net=net,
            data=STUDENT,
            cells=tuple(
                GridCell(lr=4.0, weight_decay=0.032, batch_size=64, order=order)
                for order in (1.0, 2.0, 4.0, 8.0)
            ),
            probe_size=64,
            ratio=0.35,
            planned_sd=0.18,
            looks=(64, 160),
        )
        for title, net in nets.items()
    ]


def parts(runs: GridRuns, cell: GridCell, tensors: tuple[str, ...], n: int) -> tuple[Array, Array, Array]:
    """Return r^4 as the squared gradient to which SVAG's equation equates it, Tr Sigma_B, ||grad L||^2.

    Each is [n]. The first is of judged runs, the others of noise references in the same cell. The equation is
    r^4 = unit (Tr Sigma + ||grad L||^2 / l), and ``unit`` is what it gives for Tr Sigma = 1 alone.
    """
    unit = float(svag_fourth_power(1.0, 0.0, cell.lr, cell.weight_decay, cell.order))
    trace, mean2 = runs.noise(cell, tensors, n)
    return runs.fourth_power(cell, tensors, n) / unit, batch_trace(trace, cell.batch_size), mean2


def deviations(runs: GridRuns, part: Part, n: int) -> Array:
    """Return (r^4 less the part of the noise) over ||grad L||^2, less 1/l, [n, orders + the limit].

    The limit is the intercept of the line in 1/l through the orders beyond SGD. Everything is linear in what
    a noise reference measures, so that the values of noise reference i are its jackknife pseudo-values.
    """
    columns, rest = [], []
    for cell in runs.grid.cells:
        found, trace, mean2 = parts(runs, cell, part.tensors, n)
        columns.append((found - trace - mean2 / cell.order) / mean2.mean())
        rest.append((found - trace, mean2))
    weights = intercept_weights([cell.order for cell in runs.grid.cells[1:]])
    limit = weights @ np.stack([value for value, _ in rest[1:]]) / rest[-1][1].mean()
    return np.stack([*columns, limit], axis=1)


def design(grid: Orders, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for every order and the limit at once, each with its own margin."""
    orders = np.array(grid.orders)
    finite = [SPREAD * c.intrinsic_lr * (1.0 / grid.ratio + 1.0 / c.order) for c in grid.cells]
    weights = intercept_weights(grid.orders[1:])
    bend = CHANGE * abs(float(weights @ orders[1:] ** -2.0))
    rooms = [TOLERANCE + x for x in (*finite, bend + float(np.abs(weights) @ finite[1:]))]
    flat, square = 1.0 - 1.0 / orders, orders**-2.0 - 1.0 / orders
    return CurveEquivalence(
        estimand="(r^4 less the trace's part) over ||grad L||^2, less 1/l, at every order and in the limit",
        points=len(orders) + 1,
        margin=(-max(rooms), max(rooms)),
        margins=tuple((-room, room) for room in rooms),
        margin_reason=(
            f"finite lambda_e {max(finite):.3f} at most (Var(G^2) in the recursion), in the limit also "
            f"{bend:.3f} for the change of ||grad L||^2 with l, + tolerance {TOLERANCE}"
        ),
        rivals=(
            Rival(name=TEXT.rivals[0], expected=(*map(float, flat), 1.0)),
            Rival(name=TEXT.rivals[1], expected=(*map(float, square), float(weights @ orders[1:] ** -2.0))),
        ),
        looks=grid.looks,
        false_fail=alpha,
        sd=grid.planned_sd,
    )


def _message(seen: Examined[Orders, GridRuns]) -> str:
    grid = seen.spec
    found = [parts(seen.runs, cell, seen.tensors, seen.n) for cell in grid.cells]
    ratios = ", ".join(f"{mean2.mean() / trace.mean():.3f}" for _, trace, mean2 in found)
    weights = intercept_weights(grid.orders[1:])
    line, sde = (float(weights @ [part[k].mean() for part in found[1:]]) for k in (0, 1))
    sgd = float(found[0][0].mean())
    return (
        f"orders {', '.join(f'{order:g}' for order in grid.orders)} of {grid.cells[0].words()}; "
        f"||grad L||^2 / Tr Sigma_B is {ratios}; relative to r^4 of the SDE, with the trace in the limit, "
        f"the line through r^4 in 1/l ends at {line / sde - 1.0:+.3f}, and SGD is at {sgd / sde - 1.0:+.3f}"
    )


def _figure(seen: Examined[Orders, GridRuns]) -> Figure:
    x = [*(1.0 / order for order in seen.spec.orders), 0.0]
    return against_theory(
        x,
        x,
        seen.design,
        seen.decision,
        x_label="1 / l; 1 is SGD, 0 the limit of the line",
        y_label="(r^4 less the noise's part) / ||grad L||^2",
        caption=(
            "The noise of other runs with the same order explains a part of r^4, which is subtracted here. "
            "In the limit 1 / l = 0 nothing must be left: that is the norm of the SDE."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Orders,
    experiments=experiments,
    run_steps=lambda grid: 2 * grid.looks[0] * grid.steps_of_all(),
    trained=GridRuns,
    design=design,
    sample=deviations,
    steps=lambda grid, part: grid.steps_of_all(),
    message=_message,
    figure=_figure,
)
CLAIM = LAW.claim()
