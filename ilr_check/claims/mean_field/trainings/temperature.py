"""Is the equilibrium a function of lambda_e / B? Three populations, each followed to its SDE by SVAG.

lambda_e is lr * weight_decay and B is the batch size. SVAG takes l times more and smaller steps; as l grows,
training approaches a stochastic differential equation (SDE).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Profile
from ilr_check.claims.figures import interval
from ilr_check.claims.law import Examined, Part, StatisticalLaw, judged_groups
from ilr_check.claims.mean_field.trainings.grid import Grid, GridCell, GridRuns, intercept_weights
from ilr_check.data import DataSpec
from ilr_check.evidence import ClaimText, Figure, RivalOutcome
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import ContrastEquivalence, Examination
from ilr_check.stats.controlled import UNPOWERED

Array = NDArray[np.float64]
Side = Literal["reference", "scaled", "control"]
SIDES: tuple[Side, ...] = ("reference", "scaled", "control")
Response = Literal["loss", "temperature"]

BEND = 0.03
"""What a line through the SVAG orders leaves out, as a share of the effect of the control.

In a pilot of another seed a parabola instead moved the limits by 0.01 to 0.03 of it, where this could be told
from noise.
"""
THETA = BEND + 0.07
"""The control has k times the lambda_e / B. A lambda_e / B wrong by k^0.07 would use up the tolerance."""

ORDERS = (1.0, 2.0, 4.0)
RIVALS = ("lambda_e alone", "lambda_e / B^2")


class Temperature(Grid, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part", tag="limit"):
    """Cells of the reference, then of k times its B and lambda_e, then of k times its lambda_e alone.

    Each is trained in every SVAG order of ``orders``. ``planned`` has the standard deviation and the effect
    of each response that the design must cope with; without it nothing is checked before the data.
    """

    factor: int
    orders: tuple[float, ...] = ORDERS
    planned: dict[str, tuple[float, float]]

    def of(self, side: Side) -> tuple[GridCell, ...]:
        """Return the cells of a population, by order."""
        first = SIDES.index(side) * len(self.orders)
        return self.cells[first : first + len(self.orders)]


def temperature(
    title: str,
    net: NetSpec,
    data: DataSpec,
    *,
    reference: GridCell,
    factor: int,
    by: Literal["lr", "weight_decay"],
    planned: dict[str, tuple[float, float]],
) -> Temperature:
    """Return the three populations, with lambda_e scaled ``by`` lr or weight decay."""
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
        looks=(64, 160),
    )


WORDS: dict[Response, str] = {
    "loss": "difference of the mean loss",
    "temperature": "difference of the mean (B / effective LR)^2",
}


def parts(limit: Temperature) -> tuple[Part, ...]:
    """Return one part for the loss, and one for the temperature of each group."""
    groups = ((f"{group}: temperature", tensors) for group, tensors in judged_groups(limit.net).items())
    return (
        Part("loss", what="loss", figure="loss"),
        *(Part(name, tensors, "temperature", figure=name) for name, tensors in groups),
    )


def design(limit: Temperature, part: Part, alpha: float) -> ContrastEquivalence:
    """Return the design for equality of reference and scaled, measured by the effect of the control."""
    sd, effect = limit.planned.get(part.what, (None, None))
    return ContrastEquivalence(
        estimand=f"{WORDS[part.what]} at equal lambda_e / B, less {THETA:g} of the control's difference",
        theta=THETA,
        margin_reason=(
            f"shares of the effect of {limit.factor} times lambda_e / B: {BEND} for the second order of the "
            f"line in 1/l + tolerance {THETA - BEND:g}"
        ),
        looks=limit.looks,
        false_fail=alpha,
        sd=sd,
        effect=effect,
    )


def response_of(runs: GridRuns, part: Part, cell: GridCell, n: int) -> Array:
    """Return the loss, or (B r^2 / lr)^2: the temperature to the power -2, linear in the noise; [n]."""
    if part.what == "loss":
        return runs.loss(cell, n)
    return runs.fourth_power(cell, part.tensors, n) * (cell.batch_size / cell.lr) ** 2


def intercepts(runs: GridRuns, part: Part, n: int) -> tuple[Array, Array, Array]:
    """Return the SDE's value of the three populations, one number for run i of every order, each [n]."""
    limit = runs.grid
    assert isinstance(limit, Temperature)
    weights = intercept_weights(limit.orders)
    found = [
        weights @ np.stack([response_of(runs, part, cell, n) for cell in limit.of(side)]) for side in SIDES
    ]
    return found[0], found[1], found[2]


def _with_rivals(seen: Examined[Temperature, GridRuns], main: Finding) -> tuple[Finding, ...]:
    return (replace(main, rivals=_rivals(seen.examination)),)


def _rivals(examination: Examination) -> tuple[RivalOutcome, ...]:
    """Return what the difference, less theta of the control's, would be under each rival.

    The effect D of the control is measured from the mean of the other two. With lambda_e alone the scaled
    population is the control: a difference of 2 D. With lambda_e / B^2 it lies as far on the other side of
    the reference as the control does on this one, on the log scale: D is 1.5 differences.
    """
    decision = examination.decision
    effect = -decision.expected / THETA
    expected = [(factor - THETA) * effect for factor in (2.0, 1.0 / 1.5)]
    powered = UNPOWERED not in decision.notes
    return tuple(
        RivalOutcome(name=name, expected=value, excluded=powered and decision.high < value)
        for name, value in zip(RIVALS, expected, strict=True)
    )


def _message(seen: Examined[Temperature, GridRuns]) -> str:
    """Return the comparison at order 1, which is SGD itself; finite lambda_e changes it."""
    limit = seen.spec
    means = [response_of(seen.runs, seen.part, limit.of(side)[0], seen.n).mean() for side in SIDES]
    return (
        "at order 1, reported and not judged, because finite lambda_e changes it: the populations of equal "
        f"lambda_e / B have {means[0]:.4g} and {means[1]:.4g}, the control has {means[2]:.4g}; the reference "
        f"is {limit.of('reference')[0].words()}, the factor on lambda_e and B is {limit.factor}"
    )


def _figure(seen: Examined[Temperature, GridRuns]) -> Figure:
    limit, n = seen.spec, seen.n
    words = {
        "reference": f"B, {limit.of('reference')[0].words()}",
        "scaled": f"{limit.factor} B, {limit.factor} lambda_e",
        "control": f"control: B, {limit.factor} lambda_e",
    }
    x = [0.0, *(1.0 / order for order in limit.orders[::-1])]
    series = []
    for side, limits in zip(SIDES, intercepts(seen.runs, seen.part, n), strict=True):
        values = [limits, *(response_of(seen.runs, seen.part, cell, n) for cell in limit.of(side)[::-1])]
        y = np.array([v.mean() for v in values])
        error = np.array([4.0 * v.std(ddof=1) / np.sqrt(n) for v in values])
        role = "control" if side == "control" else "measured"
        series.append(interval(f"{words[side]} (4 standard errors)", x, y, y - error, y + error, role=role))
    return Figure(
        name="",
        title="",
        x_label="1 / SVAG order; 0 is the limit of the lines",
        y_label="mean loss" if seen.part.what == "loss" else "(B / effective LR)^2",
        series=tuple(series),
        caption=(
            "At order 1, which is SGD itself, two populations with equal lambda_e / B differ because steps "
            "are finite. Their limits must be equal. The control shares lambda_e with one of them, and has "
            "another lambda_e / B."
        ),
    )


def limit_law(
    text: ClaimText, experiments: Callable[[Profile, int], Sequence[Temperature]]
) -> StatisticalLaw[Temperature, GridRuns]:
    """Return the law that loss and temperature depend on lambda_e / B alone in the limit of small steps."""
    return StatisticalLaw(
        text=text,
        spec=Temperature,
        experiments=experiments,
        run_steps=lambda limit: limit.looks[0] * limit.steps_of_all(),
        trained=GridRuns,
        parts=parts,
        form="prediction",
        design=design,
        sample=intercepts,
        steps=lambda limit, part: limit.steps_of_all(),
        message=_message,
        figure=_figure,
        findings=_with_rivals,
    )
