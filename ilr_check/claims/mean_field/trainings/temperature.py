"""Is the equilibrium a function of lambda_e / B? Three populations, each followed to its SDE by SVAG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Context, Finding, Judged
from ilr_check.claims.mean_field.trainings.grid import Cell, Grid, GridRuns, intercept_weights
from ilr_check.claims.populations import (
    decision_name,
    file_name,
    finding_of,
    judged_groups,
)
from ilr_check.data import DataSpec
from ilr_check.evidence import Figure, RivalOutcome, Series
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import ContrastEquivalence, Examination, examine
from ilr_check.stats.controlled import UNPOWERED

Array = NDArray[np.float64]
Role = Literal["reference", "scaled", "control"]
ROLES: tuple[Role, ...] = ("reference", "scaled", "control")
Response = Literal["loss", "temperature"]
RESPONSES: tuple[Response, ...] = ("loss", "temperature")

BEND = 0.03
"""What the line of SVAG leaves of its second order, as a share of the control's effect: a parabola instead
moved the limits by 0.01 to 0.03 of it in a pilot of another seed, where it could be told from noise."""
THETA = BEND + 0.07
"""With a control of k times lambda_e / B, the tolerance is what a lambda_e / B wrong by k^0.07 would make."""

ORDERS = (1.0, 2.0, 4.0)
RIVALS = ("lambda_e alone", "lambda_e / B^2")


class Temperature(Grid, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part", tag="limit"):
    """Cells of the reference, then of k times its B and lambda_e, then of k times its lambda_e alone.

    Each in every SVAG order of ``orders``; ``planned`` has the sd and the effect of each response
    that the design has to cope with; without it nothing is checked before the data.
    """

    factor: int
    orders: tuple[float, ...] = ORDERS
    planned: dict[str, tuple[float, float]]

    def of(self, role: Role) -> tuple[Cell, ...]:
        """The cells of a population, by order."""
        first = ROLES.index(role) * len(self.orders)
        return self.cells[first : first + len(self.orders)]


def temperature(
    title: str,
    net: NetSpec,
    data: DataSpec,
    *,
    reference: Cell,
    factor: int,
    by: Literal["lr", "weight_decay"],
    planned: dict[str, tuple[float, float]],
) -> Temperature:
    """The three populations where lambda_e is scaled ``by`` lr or weight decay."""
    hotter = msgspec.structs.replace(reference, **{by: factor * getattr(reference, by)})
    scaled = msgspec.structs.replace(hotter, batch_size=factor * reference.batch_size)
    return Temperature(
        title=title,
        net=net,
        data=data,
        cells=tuple(
            msgspec.structs.replace(cell, order=order)
            for cell in (reference, scaled, hotter)
            for order in ORDERS
        ),
        factor=factor,
        window=4.0,
        planned=planned,
        looks=(64, 128),
    )


def decisions(claim: str, limit: Temperature) -> tuple[str, ...]:
    """One a group for the temperature, and one for the loss."""
    names = [f"{group}: temperature" for group in judged_groups(limit.net)]
    return tuple(decision_name(claim, limit, name) for name in (*names, "loss"))


def judge_limit(
    claim: str,
    limit: Temperature,
    context: Context,
    *,
    rule: UpdateRule | Rule = plain,
    batch_size: Callable[[int], int] = lambda size: size,
) -> Judged:
    """Judge the loss, and every group's temperature, in the limit of small steps; tests plant defects."""
    runs = GridRuns(limit, context, roles=1, rule=rule, batch_size=batch_size)
    findings: list[Finding] = []
    figures: list[Figure] = []
    asked: list[tuple[Response, str, tuple[str, ...]]] = [("loss", "loss", ())]
    asked += [("temperature", f"{g}: temperature", t) for g, t in judged_groups(limit.net).items()]
    for response, name, tensors in asked:
        theta, (sd, effect) = THETA, limit.planned.get(response, (None, None))
        design = ContrastEquivalence(
            estimand=f"{WORDS[response]} at equal lambda_e / B, less {theta:g} of the control's difference",
            theta=theta,
            margin_reason=(
                f"of what {limit.factor} times lambda_e / B makes: {BEND} for the second order of the line "
                f"in 1/l + tolerance {theta - BEND:g}"
            ),
            looks=limit.looks,
            false_fail=context.alpha(decision_name(claim, limit, name)),
            sd=sd,
            effect=effect,
        )
        examination = examine(design, partial(intercepts, runs, response, tensors))
        n = examination.runs_used
        if n:
            figures.append(_figure(claim, runs, response, name, tensors, n))
        finding = finding_of(
            examination,
            form="transfer",
            group=name,
            subject=msgspec.to_builtins(limit),
            n_steps=sum(limit.steps(cell) for cell in limit.cells) if n else 0,
            figure=figures[-1].name if n else "",
            message=_drift(runs, response, tensors, n) if n else "",
        )
        findings.append(replace(finding, rivals=_rivals(examination)))
    return Judged(tuple(findings), tuple(figures))


WORDS: dict[Response, str] = {
    "loss": "difference of the mean loss",
    "temperature": "difference of the mean (B / effective LR)^2",
}


def response_of(runs: GridRuns, response: Response, tensors: tuple[str, ...], cell: Cell, n: int) -> Array:
    """The loss, or (B r^2 / lr)^2, the temperature to the power -2, in which the noise is linear, [n]."""
    if response == "loss":
        return runs.loss(cell, n)
    return runs.fourth_power(cell, tensors, n) * (cell.batch_size / cell.lr) ** 2


def intercepts(
    runs: GridRuns, response: Response, tensors: tuple[str, ...], n: int
) -> tuple[Array, Array, Array]:
    """The SDE value of the three populations, one number for run i of every order, each [n]."""
    limit = runs.grid
    assert isinstance(limit, Temperature)
    weights = intercept_weights(limit.orders)
    found = [
        weights @ np.stack([response_of(runs, response, tensors, cell, n) for cell in limit.of(role)])
        for role in ROLES
    ]
    return found[0], found[1], found[2]


def _rivals(examination: Examination) -> tuple[RivalOutcome, ...]:
    """What the difference, less theta of the control's, would be under each rival.

    The control's effect D is measured from the mean of the two. With lambda_e alone the scaled population is
    the control: a difference of 2 D. With lambda_e / B^2 it lies as far on the other side of the reference
    as the control does on this one, on the log scale: D is 1.5 differences.
    """
    decision = examination.decision
    if not examination.runs_used:
        return tuple(RivalOutcome(name=name, expected=None, excluded=False) for name in RIVALS)
    effect = -decision.expected / THETA
    expected = [(factor - THETA) * effect for factor in (2.0, 1.0 / 1.5)]
    powered = UNPOWERED not in decision.notes
    return tuple(
        RivalOutcome(name=name, expected=value, excluded=powered and decision.high < value)
        for name, value in zip(RIVALS, expected, strict=True)
    )


def _drift(runs: GridRuns, response: Response, tensors: tuple[str, ...], n: int) -> str:
    """The raw comparison at order 1, which finite lambda_e moves."""
    limit = runs.grid
    assert isinstance(limit, Temperature)
    means = [response_of(runs, response, tensors, limit.of(role)[0], n).mean() for role in ROLES]
    return (
        f"raw, at order 1, reported, not judged, as finite lambda_e moves it: {means[0]:.4g} and "
        f"{means[1]:.4g} at equal lambda_e / B, control {means[2]:.4g}; reference "
        f"{limit.of('reference')[0].words()}, lambda_e and B times {limit.factor}"
    )


def _figure(
    claim: str, runs: GridRuns, response: Response, name: str, tensors: tuple[str, ...], n: int
) -> Figure:
    limit = runs.grid
    assert isinstance(limit, Temperature)
    series: list[Series] = []
    words = {
        "reference": f"B, {limit.of('reference')[0].words()}",
        "scaled": f"{limit.factor} B, {limit.factor} lambda_e",
        "control": f"control: B, {limit.factor} lambda_e",
    }
    weights = intercept_weights(limit.orders)
    for role in ROLES:
        cells = limit.of(role)
        values = [response_of(runs, response, tensors, cell, n) for cell in cells]
        limits = weights @ np.stack(values)
        values = [limits, *values[::-1]]
        x = np.array([0.0, *(1.0 / cell.order for cell in cells[::-1])])
        y = np.array([v.mean() for v in values])
        error = np.array([4.0 * v.std(ddof=1) / np.sqrt(n) for v in values])
        series.append(
            Series(
                name=f"{words[role]} (4 standard errors)",
                kind="interval",
                role="control" if role == "control" else "measured",
                x=x,
                y=y,
                low=y - error,
                high=y + error,
            )
        )
    return Figure(
        name=file_name(claim, limit.title, name),
        title=f"{limit.title}, {name}",
        x_label="1 / SVAG order; 0 is the limit of the lines",
        y_label="mean loss" if response == "loss" else "(B / effective LR)^2",
        series=tuple(series),
        caption=(
            "At order 1, SGD itself, two populations of equal lambda_e / B differ by what finite steps do; "
            "their limits must be equal. The control has another lambda_e / B, and the lambda_e of one of "
            "them."
        ),
    )
