"""What functions of usual recipes remember of the start: two initial norms, phase by phase, not judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ilr_check.claims.claim import Context, Judged, Profile, Unit
from ilr_check.claims.findings import reported
from ilr_check.claims.function_space.trainings.functions import FunctionRuns, Functions, History, Stage
from ilr_check.claims.lab import Lab
from ilr_check.data import DataSpec
from ilr_check.evidence import Measured
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import estimate, pairwise_distances

REPORTED = 1e-2
"""The chance that any of the intervals of a report misses; its phases share it."""

FARTHER = 3.0
"""The second population starts with so many times the initial norm, so its effective LR is a ninth."""


class RecipeRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe as it is run here: ``phases`` are pairs of a factor on ``lr`` and a number of steps."""

    title: str
    net: NetSpec
    data: DataSpec
    lr: float
    weight_decay: float
    initial_norm: float
    phases: tuple[tuple[float, int], ...]
    runs: int = 128

    def course(self, times: float) -> History:
        """Return the training from ``times`` the initial norm."""
        return History(
            name=f"{times:g} times the initial norm",
            phases=tuple(
                Stage(steps=steps, lr=factor * self.lr, weight_decay=self.weight_decay)
                for factor, steps in self.phases
            ),
            initial_norm=times * self.initial_norm,
        )


class RecipeFunctions:
    """The recipes as units of a claim, without any decision; beyond ``quick`` all of them."""

    spec = RecipeRun

    def __init__(self, claim: str, experiments: Sequence[RecipeRun]) -> None:
        self._claim, self._experiments = claim, experiments

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """Return one unit for each recipe."""
        chosen = self._experiments[:1] if profile == "quick" else self._experiments
        return tuple(
            Unit(claim=self._claim, title=f"{self._claim}: {spec.title}", subject=msgspec.to_builtins(spec))
            for spec in chosen
        )

    def judge(self, subject: dict[str, Any], context: Context) -> Judged:
        """Report by how much predictions and loss depend on the initial norm at the end of each phase."""
        spec = msgspec.convert(subject, type=RecipeRun)
        ends = np.cumsum([steps for _, steps in spec.phases]).tolist()
        lab = Lab(context, 2 * spec.runs * ends[-1])
        runs = FunctionRuns(lab, spec.net, spec.data)
        near, far = (runs.population(spec.course(times), ends) for times in (1.0, FARTHER))
        rate, rows, gap = REPORTED / len(ends), [], None
        for number, end in enumerate(ends, start=1):
            first, second = near.at(end, spec.runs), far.at(end, spec.runs)
            gap = estimate([second.loss, first.loss], [1.0, -1.0], rate=rate)
            rows.append(
                f"end of phase {number}: held-out loss differs by {gap.value:.4f} [{gap.low:.4f}, "
                f"{gap.high:.4f}] (from {first.loss.mean():.4f}), energy distance of predictions "
                f"{_energy_distance(first, second):.4f}"
            )
        assert gap is not None
        found = reported(
            group="functions of a recipe",
            subject=subject,
            quantity=f"held-out loss at the end, from {FARTHER:g} times the initial norm less from once",
            measured=Measured(value=gap.value, low=gap.low, high=gap.high),
            n_runs=spec.runs,
            n_steps=2 * ends[-1],
            message=(
                "the theory gives no constant that says when functions have forgotten; by the initial norm, "
                f"{'; '.join(rows)}; an energy distance is unbiased, 0 on average for equal populations"
            ),
        )
        return Judged((found,))


def _energy_distance(first: Functions, second: Functions) -> float:
    n = len(first.loss)
    d = pairwise_distances(np.concatenate([first.probabilities, second.probabilities]))
    within = (d[:n, :n].sum() + d[n:, n:].sum()) / (n * (n - 1))
    return float(2.0 * d[:n, n:].mean() - within)
