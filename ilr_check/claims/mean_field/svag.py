"""SVAG: in l times more and smaller steps the norm approaches that of the SDE as 1/l."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.mean_field.trainings.grid import Cell, Grid, GridRuns, intercept_weights
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.claims.settings.nets import GROUP_NORMED, LAYER_NORMED, STUDENT
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import CurveEquivalence, Decision, Rival, examine
from ilr_check.theory.batches import batch_trace, svag_fourth_power

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="svag",
    title="The SDE is the limit of SVAG",
    statement=(
        "With lr / l, l times the steps and the noise of SVAG of order l, the part of r^4 that the mean "
        "gradient makes falls as 1/l, and what is left is the norm of the SDE, set by the trace of the noise "
        "alone."
    ),
    equation="r*⁴(l) = η(Tr Σ + ‖∇L‖²/l)/(λ(2 − ηλ/l)) → ηTr Σ/(2λ)",
    source="SVAG: Li, Malladi, Arora 2021; the SDE: Li, Lyu, Arora 2020, section 5; asked by reviewer 2",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("flat", "1/l^2"),
    meaning=(
        "The two batches are not combined to l times the covariance at the same mean, or lr and weight decay "
        "do not go with the order as stated."
    ),
    blind=(
        "what the function does on its way to the limit: trace and mean gradient are measured at each order. "
        "How near SGD itself is to the SDE is reported, not judged."
    ),
)

TOLERANCE = 0.1
"""What we tolerate, in units of ||grad L||^2."""
SPREAD = 0.25
"""Var(G^2) / E(G^2)^2 along a path, planned: 0.04 to 0.06 in a pilot of another seed; see linear scaling."""
CHANGE = 0.5
"""By how much ||grad L||^2 may grow with 1/l, over its value at the largest order, planned.

The pilot had 0.35. It bends the line whose intercept is judged.
"""


class Orders(Grid, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cells of growing order, the first SGD itself.

    ``ratio`` is ||grad L||^2 / Tr Sigma_B, planned: the margin follows from it. ``planned_sd`` is of r^4 over
    the gain, in units of ||grad L||^2.
    """

    ratio: float

    @property
    def orders(self) -> tuple[float, ...]:
        """l of every cell."""
        return tuple(cell.order for cell in self.cells)


def experiments(profile: Profile, seed: int) -> list[Orders]:
    """A LayerNorm net; a GroupNorm net too beyond ``quick``."""
    nets = {"LayerNorm net": LAYER_NORMED}
    if profile != "quick":
        nets["GroupNorm net"] = GROUP_NORMED
    return [
        Orders(
            title=title,
            net=net,
            data=STUDENT,
            cells=tuple(
                Cell(lr=4.0, weight_decay=0.032, batch_size=64, order=order) for order in (1.0, 2.0, 4.0, 8.0)
            ),
            probe_size=64,
            ratio=0.35,
            planned_sd=0.18,
            looks=(64, 128),
        )
        for title, net in nets.items()
    ]


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """One unit a net, with one decision an invariant group."""
    return units_by_group(TEXT.id, experiments(profile, seed))


def judge(
    subject: dict[str, Any],
    context: Context,
    *,
    rule: UpdateRule | Rule = plain,
    order: Callable[[float], float] = lambda order: order,
) -> Judged:
    """Judge all orders of a group at once; tests plant another ``rule``, or noise of another ``order``."""
    grid = msgspec.convert(subject, type=Orders)
    runs = GridRuns(grid, context, rule=rule, order=order)
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(grid.net).items():
        design = _design(grid, context.alpha(decision_name(TEXT.id, grid, group)))
        examination = examine(design, partial(deviations, runs, grid, tensors))
        n = examination.runs_used
        if n:
            figures.append(_figure(grid, group, design, examination.decision))
        findings.append(
            finding_of(
                examination,
                form="transfer",
                group=group,
                subject=subject,
                n_steps=sum(map(grid.steps, grid.cells)) if n else 0,
                figure=figures[-1].name if n else "",
                message=_words(runs, grid, tensors, n) if n else "",
                rival_values={r.name: _farthest(r) for r in design.rivals},
            )
        )
    return Judged(tuple(findings), tuple(figures))


def parts(runs: GridRuns, cell: Cell, tensors: tuple[str, ...], n: int) -> tuple[Array, Array, Array]:
    """r^4 as the squared gradient that SVAG's equation makes of it, Tr Sigma_B and ||grad L||^2, each [n].

    The first is of judged runs, the others of noise references in the same cell: r^4 = unit (Tr Sigma +
    ||grad L||^2 /
    l), with the unit that the equation gives for Tr Sigma = 1 alone.
    """
    unit = float(svag_fourth_power(1.0, 0.0, cell.lr, cell.weight_decay, cell.order))
    trace, mean2 = runs.noise(cell, tensors, n)
    return runs.fourth_power(cell, tensors, n) / unit, batch_trace(trace, cell.batch_size), mean2


def deviations(runs: GridRuns, grid: Orders, tensors: tuple[str, ...], n: int) -> Array:
    """(r^4 less its noise's part) over ||grad L||^2, less 1/l, a column an order; then its limit.

    The limit is the intercept of the line in 1/l through the orders beyond SGD. Everything is linear in what
    a noise reference measures, so that noise reference i's own values are its pseudo-values.
    """
    columns, rest = [], []
    for cell in grid.cells:
        found, trace, mean2 = parts(runs, cell, tensors, n)
        columns.append((found - trace - mean2 / cell.order) / mean2.mean())
        rest.append((found - trace, mean2))
    weights = intercept_weights(grid.orders[1:])
    limit = weights @ np.stack([value for value, _ in rest[1:]]) / rest[-1][1].mean()
    return np.stack([*columns, limit], axis=1)


def _design(grid: Orders, alpha: float) -> CurveEquivalence:
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
            f"finite lambda_e {max(finite):.3f} at most (Var(G^2) in the recursion), in the limit "
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


def _words(runs: GridRuns, grid: Orders, tensors: tuple[str, ...], n: int) -> str:
    found = [parts(runs, cell, tensors, n) for cell in grid.cells]
    ratios = ", ".join(f"{mean2.mean() / trace.mean():.3f}" for _, trace, mean2 in found)
    weights = intercept_weights(grid.orders[1:])
    line, sde = (float(weights @ [part[k].mean() for part in found[1:]]) for k in (0, 1))
    sgd = float(found[0][0].mean())
    return (
        f"orders {', '.join(f'{order:g}' for order in grid.orders)} of {grid.cells[0].words()}; "
        f"||grad L||^2 / Tr Sigma_B {ratios}; raw: the line through r^4 in 1/l ends {line / sde - 1.0:+.3f} "
        f"from the SDE's r^4 with the trace of that limit, and SGD's is {sgd / sde - 1.0:+.3f} from it"
    )


def _farthest(rival: Rival) -> float:
    values = np.asarray(rival.expected)
    return float(values[np.abs(values).argmax()])


def _figure(grid: Orders, group: str, design: CurveEquivalence, decision: Decision) -> Figure:
    band = decision.band
    assert band is not None
    # From the limit to SGD, so that lines run along 1/l.
    x = np.array([*(1.0 / order for order in grid.orders), 0.0])[::-1]
    low, high = (bound[::-1] for bound in design.bounds())

    def at(values: Any) -> Array:
        return np.asarray(np.asarray(values, dtype=np.float64)[::-1] + x)

    return Figure(
        name=file_name(TEXT.id, grid.title, group),
        title=f"{grid.title}, {group}",
        x_label="1 / l; 1 is SGD, 0 the limit of the line",
        y_label="(r^4 less the noise's part) / ||grad L||^2",
        series=(
            Series(name="margin", kind="band", role="margin", x=x, low=x + low, high=x + high),
            Series(name="theory", kind="line", role="predicted", x=x, y=x),
            Series(
                name="measured, with its interval",
                kind="interval",
                role="measured",
                x=x,
                y=at(band.estimate),
                low=at(band.low),
                high=at(band.high),
            ),
            *(
                Series(name=f"rival: {r.name}", kind="line", role="rival", x=x, y=at(r.expected))
                for r in design.rivals
            ),
        ),
        caption=(
            "What is left of r^4 when the trace, measured on other runs of the same order, has had its part. "
            "At 0 nothing is left: that is the SDE."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
