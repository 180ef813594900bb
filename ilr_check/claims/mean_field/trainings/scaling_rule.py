"""Equilibria under the linear scaling rule, B and lr times k: what the noise of B and of one example say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Context, Finding, Judged
from ilr_check.claims.mean_field.trainings.grid import Cell, Grid, GridRuns
from ilr_check.claims.populations import decision_name, file_name, finding_of, judged_groups
from ilr_check.evidence import Figure, Series
from ilr_check.evidence.figures import Role
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import CurveEquivalence, Decision, Rival, examine
from ilr_check.theory.batches import batch_trace, scaled_fourth_power

Array = NDArray[np.float64]

POWERS = {"trace does not fall": 0.0, "trace as B^(-1/2)": 0.5, "trace as B^-2": 2.0}
"""Rivals by the power of 1/B with which the trace falls."""
NO_BREAK, NOISE_ALONE = "no break", "noise alone"

TOLERANCE = 0.03
BREAK_TOLERANCE = 0.15
"""What we tolerate in the mean gradient's term: k at the break is then known within 15 %."""
SPREAD = 0.25
"""Var(G^2) / E(G^2)^2 along a path, planned: 0.05 to 0.11 in a pilot of another seed.

Var(G^2) enters the second term of the recursion, and adds lambda_e Var(G^2) / E(G^2)^2 to r^4, relatively.
"""


class Ladder(Grid, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part", tag="ladder"):
    """Cells with B and lr times a growing k, the first with k = 1.

    ``ratios`` are ||grad L||^2 / Tr Sigma_B, planned, in the last cells, where the break is judged: the
    margin follows from them, and the prediction from what noise references measure. ``planned_sd`` is of
    r^4 in units
    of 2 Tr Sigma_B, ``break_sd`` in units of ||grad L||^2, both divided by the gain.
    """

    ratios: tuple[float, ...]
    break_sd: float | None

    @property
    def broken(self) -> tuple[Cell, ...]:
        """Where the mean gradient's term is large enough to be judged."""
        return self.cells[-len(self.ratios) :]

    def factor(self, cell: Cell) -> float:
        """k."""
        return cell.batch_size / self.cells[0].batch_size


def ladder_decisions(claim: str, ladder: Ladder) -> tuple[str, ...]:
    """Two a group."""
    return tuple(
        decision_name(claim, ladder, f"{group}: {part}")
        for group in judged_groups(ladder.net)
        for part in ("noise", "break")
    )


def judge_ladder(
    claim: str,
    ladder: Ladder,
    context: Context,
    *,
    rule: UpdateRule | Rule = plain,
    batch_size: Callable[[int], int] = lambda size: size,
) -> Judged:
    """Judge the noise at every k and the mean gradient's term at the largest; tests plant defects."""
    runs = GridRuns(ladder, context, rule=rule, batch_size=batch_size)
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(ladder.net).items():
        for part, deviations in (("noise", noise_deviations), ("break", break_deviations)):
            name = f"{group}: {part}"
            alpha = context.alpha(decision_name(claim, ladder, name))
            design = _noise_design(ladder, alpha) if part == "noise" else _break_design(ladder, alpha)
            examination = examine(design, partial(deviations, runs, tensors))
            n = examination.runs_used
            if n:
                cells = ladder.cells if part == "noise" else ladder.broken
                figures.append(_figure(claim, ladder, name, cells, design, examination.decision))
            findings.append(
                finding_of(
                    examination,
                    form="transfer",
                    group=name,
                    subject=msgspec.to_builtins(ladder),
                    n_steps=sum(map(ladder.steps, ladder.cells)) if n else 0,
                    figure=figures[-1].name if n else "",
                    message=_words(runs, tensors, n) if n else "",
                    rival_values={r.name: _farthest(r) for r in design.rivals},
                )
            )
    return Judged(tuple(findings), tuple(figures))


def noise_deviations(runs: GridRuns, tensors: tuple[str, ...], n: int) -> Array:
    """(prediction - r^4) / 2 in units of the noise's part of r^4, a column a cell.

    The trace is measured with batches of ``probe_size`` along noise references in the same cell and
    divided by B: noise reference
    i's own is its pseudo-value, since the prediction is linear in it.
    """
    columns = []
    for cell in runs.grid.cells:
        trace, mean2 = runs.noise(cell, tensors, n)
        noise = batch_trace(trace, cell.batch_size)
        found = runs.fourth_power(cell, tensors, n) / cell.gain
        columns.append(0.5 * (mean2 + noise - found) / noise.mean())
    return np.stack(columns, axis=1)


def break_deviations(runs: GridRuns, tensors: tuple[str, ...], n: int) -> Array:
    """(r^4 - prediction) in units of the mean gradient's part of r^4, a column a cell of the last."""
    ladder = runs.grid
    assert isinstance(ladder, Ladder)
    columns = []
    for cell in ladder.broken:
        trace, mean2 = runs.noise(cell, tensors, n)
        found = runs.fourth_power(cell, tensors, n) / cell.gain
        columns.append((found - batch_trace(trace, cell.batch_size) - mean2) / mean2.mean())
    return np.stack(columns, axis=1)


def _noise_design(ladder: Ladder, alpha: float) -> CurveEquivalence:
    finite = 0.5 * SPREAD * max(cell.intrinsic_lr for cell in ladder.cells)
    room = TOLERANCE + finite
    # At probe_size, where the trace was measured, a rival agrees with theory.
    relative = np.array([cell.batch_size / ladder.probe_size for cell in ladder.cells])
    return CurveEquivalence(
        estimand="(1 - r^4 / prediction) / 2 in units of the noise's part, at every batch size",
        points=len(ladder.cells),
        margin=(-room, room),
        margin_reason=f"finite lambda_e {finite:.3f} (Var(G^2) in the recursion) + tolerance {TOLERANCE}",
        rivals=tuple(
            Rival(name=name, expected=tuple(0.5 * (1.0 - relative ** (1.0 - power))))
            for name, power in POWERS.items()
        ),
        looks=ladder.looks,
        false_fail=alpha,
        sd=ladder.planned_sd,
    )


def _break_design(ladder: Ladder, alpha: float) -> CurveEquivalence:
    finite = max(
        SPREAD * cell.intrinsic_lr * (1.0 + 1.0 / ratio)
        for cell, ratio in zip(ladder.broken, ladder.ratios, strict=True)
    )
    room = BREAK_TOLERANCE + finite
    factors = np.array([ladder.factor(cell) for cell in ladder.broken])
    return CurveEquivalence(
        estimand="(r^4 less the noise's part) / the mean gradient's part, less 1, at the largest batches",
        points=len(ladder.ratios),
        margin=(-room, room),
        margin_reason=(
            f"finite lambda_e {finite:.3f} (Var(G^2) in the recursion, in units of the mean gradient's part) "
            f"+ tolerance {BREAK_TOLERANCE}"
        ),
        rivals=(
            Rival(name=NO_BREAK, expected=tuple(1.0 / factors - 1.0)),
            Rival(name=NOISE_ALONE, expected=(-1.0,) * len(factors)),
        ),
        looks=ladder.looks,
        false_fail=alpha,
        sd=ladder.break_sd,
    )


def _words(runs: GridRuns, tensors: tuple[str, ...], n: int) -> str:
    ladder = runs.grid
    assert isinstance(ladder, Ladder)
    first, last = ladder.cells[0], ladder.cells[-1]
    ratios = []
    for cell in (first, last):
        trace, mean2 = runs.noise(cell, tensors, n)
        ratios.append(float(mean2.mean() / batch_trace(trace, cell.batch_size).mean()))
    k = ladder.factor(last)
    found = runs.fourth_power(last, tensors, n).mean() / runs.fourth_power(first, tensors, n).mean()
    raw = float(scaled_fourth_power(ratios[0], k))
    losses = ", ".join(f"{runs.loss(cell, n).mean():.4f}" for cell in ladder.cells)
    return (
        f"||grad L||^2 / Tr Sigma_B {ratios[0]:.3f} at B {first.batch_size} and {ratios[1]:.3f} at "
        f"{last.batch_size}: raw, r'^4 / r^4 at k = {k:g} is {found:.3f}, and {raw:.3f} if neither changed "
        f"along the ladder; mean losses {losses}"
    )


def _farthest(rival: Rival) -> float:
    values = np.asarray(rival.expected)
    return float(values[np.abs(values).argmax()])


def _figure(
    claim: str,
    ladder: Ladder,
    name: str,
    cells: tuple[Cell, ...],
    design: CurveEquivalence,
    decision: Decision,
) -> Figure:
    band = decision.band
    assert band is not None
    x = np.array([float(cell.batch_size) for cell in cells])
    ones, room = np.ones(len(x)), design.margin[1]

    def line(label: str, role: Role, y: Array) -> Series:
        return Series(name=label, kind="line", role=role, x=x, y=y)

    part = "noise's" if name.endswith("noise") else "mean gradient's"
    return Figure(
        name=file_name(claim, ladder.title, name),
        title=f"{ladder.title}, {name}",
        x_label="batch size; lr and lambda_e grow with it",
        y_label=f"deviation in units of the {part} part of r^4",
        x_log=True,
        series=(
            Series(name="margin", kind="band", role="margin", x=x, low=-room * ones, high=room * ones),
            line("theory", "predicted", 0.0 * ones),
            Series(
                name="measured, with its interval",
                kind="interval",
                role="measured",
                x=x,
                y=np.asarray(band.estimate),
                low=np.asarray(band.low),
                high=np.asarray(band.high),
            ),
            *(line(f"rival: {r.name}", "rival", np.asarray(r.expected)) for r in design.rivals),
        ),
        caption=(
            f"r^4 at equilibrium against (|grad L|^2 + Tr Sigma_1 / B) of other runs in the same cell, whose "
            f"trace was measured with batches of {ladder.probe_size} at every B."
        ),
    )
