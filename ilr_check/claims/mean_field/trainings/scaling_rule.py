"""Equilibria under the linear scaling rule, by which batch size B and lr grow by the same factor k.

Two parts are judged. The noise sets the norm at every k, with a trace that is divided by B. At the largest k
the mean gradient also has a part in the norm, and there the linear scaling of lr with B ends: the break.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import against_theory
from ilr_check.claims.law import Examined, Part, StatisticalLaw, judged_groups
from ilr_check.claims.mean_field.trainings.batch_noise import POWERS
from ilr_check.claims.mean_field.trainings.grid import Grid, GridCell, GridRuns
from ilr_check.claims.mistakes import Mistake, mistake, wrong_exponent
from ilr_check.evidence import ClaimText, Figure
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.theory.batches import batch_trace, scaled_fourth_power

Array = NDArray[np.float64]

NO_BREAK, NOISE_ALONE = "no break", "noise alone"

TOLERANCE = 0.03
BREAK_TOLERANCE = 0.15
"""The tolerance in the term of the mean gradient. The k of the break is then known within 15 %."""
SPREAD = 0.25
"""Planned Var(G^2) / E(G^2)^2 along a path: 0.05 to 0.11 in a pilot of another seed.

G^2 is the squared gradient at unit norm. Its variance enters the second term of the recursion and adds
lambda_e Var(G^2) / E(G^2)^2 to r^4, as a share of r^4.
"""


class Ladder(Grid, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part", tag="ladder"):
    """Cells with B and lr times a growing k; the first has k = 1.

    ``ratios`` are the planned ||grad L||^2 / Tr Sigma_B in the last cells, where the break is judged. The
    margin follows from them; the prediction follows from what the noise references measure. ``planned_sd``
    is that of r^4 in units of 2 Tr Sigma_B, ``break_sd`` in units of ||grad L||^2, both over the gain.
    """

    ratios: tuple[float, ...]
    break_sd: float | None

    @property
    def broken(self) -> tuple[GridCell, ...]:
        """The cells in which the term of the mean gradient is large enough to be judged."""
        return self.cells[-len(self.ratios) :]

    def factor(self, cell: GridCell) -> float:
        """k."""
        return cell.batch_size / self.cells[0].batch_size


def noise_deviations(runs: GridRuns, tensors: tuple[str, ...], n: int) -> Array:
    """Return (prediction - r^4) / 2 in units of the part of r^4 that the noise makes, [n, cells].

    The trace is measured with batches of ``probe_size`` along noise references in the same cell and divided
    by B. The prediction is linear in it, so that noise reference i's own value is its pseudo-value.
    """
    columns = []
    for cell in runs.grid.cells:
        trace, mean2 = runs.noise(cell, tensors, n)
        noise = batch_trace(trace, cell.batch_size)
        found = runs.fourth_power(cell, tensors, n) / cell.gain
        columns.append(0.5 * (mean2 + noise - found) / noise.mean())
    return np.stack(columns, axis=1)


def break_deviations(runs: GridRuns, tensors: tuple[str, ...], n: int) -> Array:
    """Return (r^4 - prediction) in units of the part of r^4 that the mean gradient makes, [n, last cells]."""
    ladder = runs.grid
    assert isinstance(ladder, Ladder)
    columns = []
    for cell in ladder.broken:
        trace, mean2 = runs.noise(cell, tensors, n)
        found = runs.fourth_power(cell, tensors, n) / cell.gain
        columns.append((found - batch_trace(trace, cell.batch_size) - mean2) / mean2.mean())
    return np.stack(columns, axis=1)


def noise_design(ladder: Ladder, alpha: float) -> CurveEquivalence:
    """Return the design for r^4 at every batch size."""
    finite = 0.5 * SPREAD * max(cell.intrinsic_lr for cell in ladder.cells)
    room = TOLERANCE + finite
    return CurveEquivalence(
        estimand="(1 - r^4 / prediction) / 2 in units of the noise's part, at every batch size",
        points=len(ladder.cells),
        margin=(-room, room),
        margin_reason=f"finite lambda_e {finite:.3f} (Var(G^2) in the recursion) + tolerance {TOLERANCE}",
        rivals=tuple(Rival(name=name, expected=_of_power(ladder, power)) for name, power in POWERS.items()),
        looks=ladder.looks,
        false_fail=alpha,
        sd=ladder.planned_sd,
    )


def _of_power(ladder: Ladder, power: float) -> tuple[float, ...]:
    """Return the deviations if the trace falls as B^-power; at ``probe_size``, where it is measured, none."""
    relative = np.array([cell.batch_size / ladder.probe_size for cell in ladder.cells])
    return tuple(0.5 * (1.0 - relative ** (1.0 - power)))


def mistakes(ladder: Ladder, part: Part) -> tuple[Mistake, ...]:
    """Return the mistakes near the margins of the noise and of the break."""
    if part.what == "noise":
        return (wrong_exponent(-1.0, lambda power: _of_power(ladder, -power), of="of B"),)
    points = len(ladder.ratios)
    return (mistake("the square of the mean gradient {} too large", lambda size: (size,) * points),)


def break_design(ladder: Ladder, alpha: float) -> CurveEquivalence:
    """Return the design for the term of the mean gradient at the largest batch sizes."""
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


DESIGNS = {"noise": noise_design, "break": break_design}
SAMPLES = {"noise": noise_deviations, "break": break_deviations}


def parts(ladder: Ladder) -> tuple[Part, ...]:
    """Return two parts for each group of the net: the noise and the break."""
    names = [
        (f"{group}: {what}", tensors, what)
        for group, tensors in judged_groups(ladder.net).items()
        for what in DESIGNS
    ]
    return tuple(Part(name, tensors, what, figure=name) for name, tensors, what in names)


def _message(seen: Examined[Ladder, GridRuns]) -> str:
    ladder, runs, n = seen.spec, seen.runs, seen.n
    first, last = ladder.cells[0], ladder.cells[-1]
    ratios = []
    for cell in (first, last):
        trace, mean2 = runs.noise(cell, seen.tensors, n)
        ratios.append(float(mean2.mean() / batch_trace(trace, cell.batch_size).mean()))
    k = ladder.factor(last)
    found = runs.fourth_power(last, seen.tensors, n).mean() / runs.fourth_power(first, seen.tensors, n).mean()
    raw = float(scaled_fourth_power(ratios[0], k))
    losses = ", ".join(f"{runs.loss(cell, n).mean():.4f}" for cell in ladder.cells)
    return (
        f"||grad L||^2 / Tr Sigma_B is {ratios[0]:.3f} at B {first.batch_size} and {ratios[1]:.3f} at B "
        f"{last.batch_size}; r^4 at k = {k:g} over r^4 at k = 1 is {found:.3f}, and it would be {raw:.3f} if "
        f"neither changed with k; the mean losses are {losses}"
    )


def _figure(seen: Examined[Ladder, GridRuns]) -> Figure:
    ladder, what = seen.spec, seen.part.what
    cells: tuple[GridCell, ...] = ladder.cells if what == "noise" else ladder.broken
    whose = "noise's" if what == "noise" else "mean gradient's"
    return against_theory(
        [cell.batch_size for cell in cells],
        np.zeros(len(cells)),
        seen.design,
        seen.decision,
        x_label="batch size; lr and lambda_e grow with it",
        y_label=f"deviation in units of the {whose} part of r^4",
        x_log=True,
        caption=(
            "r^4 at equilibrium against (||grad L||^2 + Tr Sigma_1 / B) of other runs in the same cell. "
            f"Their trace is measured with batches of {ladder.probe_size} at every B."
        ),
    )


def ladder_law(
    text: ClaimText, experiments: Callable[[Profile, int], Sequence[Ladder]]
) -> StatisticalLaw[Ladder, GridRuns]:
    """Return the law of the norm under linear scaling, and of where it ends."""
    return StatisticalLaw(
        text=text,
        spec=Ladder,
        experiments=experiments,
        run_steps=lambda ladder: 2 * ladder.looks[0] * ladder.steps_of_all(),
        trained=GridRuns,
        parts=parts,
        design=lambda ladder, part, alpha: DESIGNS[part.what](ladder, alpha),
        mistakes=mistakes,
        sample=lambda runs, part, n: SAMPLES[part.what](runs, part.tensors, n),
        steps=lambda ladder, part: ladder.steps_of_all(),
        message=_message,
        figure=_figure,
    )
