"""Whether usual recipes reach equilibrium: the progress of each of their phases, in closed form."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims import findings, law
from ilr_check.claims.claim import Context, Finding, Judged, Profile, Unit
from ilr_check.claims.figures import line, points
from ilr_check.evidence import Figure, Measured, Series
from ilr_check.theory.progress import decoupled_progress, sgd_progress
from ilr_check.theory.relaxation import time_to_within

Array = NDArray[np.float64]

CIFAR_EPOCH = 391
"""Steps of an epoch: 50 000 images in batches of 128."""
_STEPWISE = ((1.0, 32_000), (0.1, 16_000), (0.01, 16_000))
"""He et al. 2016 on CIFAR-10: the LR divided by 10 after 32 000 and 48 000 of 64 000 steps."""

DROP = 10.0
ARRIVED = float(time_to_within(0.25, DROP))
"""The progress, 3.66, after which the effective LR is within 10 % of its end after a drop by ten. It is the
time at lambda_e = 1/4, where a step is one unit of progress."""


class UsualRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A way to train; ``phases`` are pairs of the mean factor on ``lr`` and the number of steps."""

    name: str
    lr: float
    weight_decay: float
    momentum: float = 0.0
    decoupled: bool = False
    """The updates have a fixed size, as in AdamW. The norm then forgets at 2 lr wd, not at 4 lambda_e."""
    phases: tuple[tuple[float, int], ...]
    epoch: int | None = None
    """Steps of an epoch, where the recipe counts in epochs."""

    def progress(self) -> Array:
        """Return the progress of the norm in each phase, [phases]."""
        factors, steps = (np.array(column, dtype=float) for column in zip(*self.phases, strict=True))
        return self._progress(factors * self.lr, steps)

    @property
    def time_constant(self) -> float:
        """The number of steps at the full LR that make one unit of progress."""
        return 1.0 / float(self._progress(self.lr, 1.0))

    def scaled(self, intrinsic_lr: float) -> tuple[tuple[float, int], ...]:
        """Return phases with the same factors and the same progress at another first lambda_e."""
        if self.decoupled:
            raise ValueError(
                f"{self.name!r}: lambda_e is that of SGD, and this recipe has updates of fixed size"
            )
        first = self.phases[0][0]
        return tuple(
            (factor / first, max(1, round(progress * first / (4.0 * intrinsic_lr * factor))))
            for (factor, _), progress in zip(self.phases, self.progress().tolist(), strict=True)
        )

    def _progress(self, lr: Any, steps: Any) -> Array:
        if self.decoupled:
            return decoupled_progress(lr, self.weight_decay, steps)
        return sgd_progress(lr, self.weight_decay, self.momentum, steps)


RECIPES = (
    UsualRecipe(name="SGD, lr 0.1, wd 5e-4", lr=0.1, weight_decay=5e-4, phases=_STEPWISE, epoch=CIFAR_EPOCH),
    UsualRecipe(
        name="SGD, momentum 0.9, lr 0.1, wd 5e-4",
        lr=0.1,
        weight_decay=5e-4,
        momentum=0.9,
        phases=_STEPWISE,
        epoch=CIFAR_EPOCH,
    ),
    UsualRecipe(name="SGD, lr 0.8, wd 5e-4", lr=0.8, weight_decay=5e-4, phases=_STEPWISE, epoch=CIFAR_EPOCH),
    UsualRecipe(
        name="AdamW, lr 1e-3, wd 0.1, cosine to 0 in 100 000 steps",
        lr=1e-3,
        weight_decay=0.1,
        decoupled=True,
        phases=((0.5, 100_000),),
    ),
    UsualRecipe(
        name="language model, AdamW, lr 3e-4, wd 0.1, cosine to a tenth in 100 000 steps",
        lr=3e-4,
        weight_decay=0.1,
        decoupled=True,
        phases=((0.55, 100_000),),
    ),
)


def words() -> str:
    """Return the table in one sentence."""
    rows = []
    for recipe in RECIPES:
        steps = recipe.time_constant
        epochs = f" = {steps / recipe.epoch:.1f} epochs" if recipe.epoch else ""
        progress = ", ".join(f"{s:.2g}" for s in recipe.progress())
        rows.append(f"{recipe.name}: {progress} (time constant {steps:,.0f} steps{epochs} at the first LR)")
    return (
        f"progress of the norm in each phase, where {ARRIVED:.2f} bring the effective LR within 10 % of its "
        f"end after a drop by {DROP:g}: {'; '.join(rows)}"
    )


class RecipeTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The subject of the table of recipes."""

    title: str = "usual recipes"
    recipes: tuple[UsualRecipe, ...] = RECIPES


class RecipeReport:
    """The table of recipes as a unit of a claim: closed forms that are reported and not judged."""

    spec = RecipeTable

    def __init__(self, claim: str) -> None:
        self._claim = claim

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """Return the one unit, without decisions."""
        table = RecipeTable()
        title = f"{self._claim}: {table.title}"
        return (Unit(claim=self._claim, title=title, subject=msgspec.to_builtins(table)),)

    def judge(self, subject: dict[str, Any], context: Context) -> Judged:
        """Report the progress of each phase of each recipe."""
        name = law.file_name(self._claim, "recipes")
        return Judged((reported(subject, name),), (drawn(name),))


def reported(subject: dict[str, Any], figure: str) -> Finding:
    """Return the table as a finding: closed forms, nothing measured and nothing judged."""
    usual = RECIPES[1]
    return findings.reported(
        group="usual recipes",
        subject=subject,
        quantity=f"progress of the norm in the phase after the first drop: {usual.name}",
        measured=Measured(value=float(usual.progress()[1])),
        expected=ARRIVED,
        n_runs=0,
        dtype="float64",
        figure=figure,
        message=f"from closed forms alone: {words()}",
    )


def drawn(name: str) -> Figure:
    """Return the table as a figure: the progress of each phase of each recipe."""
    phases = np.arange(1.0, 1.0 + max(len(recipe.phases) for recipe in RECIPES))

    def curve(recipe: UsualRecipe) -> Series:
        draw = points if len(recipe.phases) == 1 else line
        return draw(recipe.name, "predicted", phases[: len(recipe.phases)], recipe.progress())

    enough = np.full(len(phases), ARRIVED)
    return Figure(
        name=name,
        title="Do usual recipes reach equilibrium?",
        x_label="phase of the recipe",
        y_label="progress of the norm",
        y_log=True,
        series=(
            *map(curve, RECIPES),
            line("within 10 % of the end after a drop by 10", "reference", phases, enough),
        ),
        caption=(
            "Progress 4 lambda_e t (AdamW: 2 lr wd t) of the phases between drops of the LR; closed forms, "
            "nothing is measured. A phase below the line ends before the effective LR has reached its "
            "equilibrium."
        ),
    )
