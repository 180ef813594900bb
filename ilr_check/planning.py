"""The plan of a run: its units of work with their seeds, and the error rates of all its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ilr_check.claims import select
from ilr_check.claims.claim import Claim, Profile, Unit
from ilr_check.evidence import Record
from ilr_check.seeds import derive
from ilr_check.stats import ErrorBudget
from ilr_check.stats.budget import false_pass_of, total_for
from ilr_check.train.world import World


@dataclass(frozen=True)
class Settings:
    """The settings that decide the verdicts of a run."""

    profile: Profile = "quick"
    claims: str = "core"
    seed: int = 0
    device: str = "cpu"
    world: str = ""
    """The TARGET or the name of a changed training (a world). It is empty for plain training."""


@dataclass(frozen=True)
class Work:
    """A planned unit with its key, its seed and the error rates of its decisions.

    These are plain values, so they can be sent to another process. ``alphas`` are the probabilities of a
    false ``violated``, by decision.
    """

    key: str
    unit: Unit
    seed: int
    settings: Settings
    alphas: dict[str, float]
    false_pass: float = 1e-2
    world: World | None = None


def plan(
    settings: Settings, world: World | None = None
) -> tuple[tuple[Claim, ...], tuple[Work, ...], ErrorBudget]:
    """Return the claims of a run, its units in order, and the error budget of all its decisions."""
    claims = select(settings.claims)
    units = [unit for claim in claims for unit in claim.plan(settings.profile, settings.seed)]
    names = [decision for unit in units for decision in unit.decisions]
    budget = ErrorBudget(total=total_for(len(names)))
    alphas = budget.plan(names) if names else {}
    false_pass = false_pass_of(len({unit.claim for unit in units if unit.decisions}), len(names))
    work = []
    for unit in units:
        seed = unit_seed(unit, settings.seed)
        work.append(
            Work(
                key=f"{unit.claim}-{seed:016x}",
                unit=unit,
                seed=seed,
                settings=settings,
                alphas={name: alphas[name] for name in unit.decisions},
                false_pass=false_pass,
                world=world,
            )
        )
    return claims, tuple(work), budget


def unit_seed(unit: Unit, seed: int) -> int:
    """Return a unit's own seed: a hash of the claim, the full spec and the run's seed."""
    return derive(unit.claim, msgspec.json.encode(unit.subject, order="sorted").decode(), seed)


def spent(budget: ErrorBudget, works: tuple[Work, ...], kept: tuple[Record, ...]) -> dict[str, Any]:
    """Return the error budget after the finished units. Decisions that a unit did not take are skipped."""
    finished = {record.unit for record in kept}
    taken = {record.unit for record in kept if record.false_fail > 0}
    for work in works:
        for name in work.unit.decisions:
            if work.key in taken:
                budget.spend(name)
            elif work.key in finished:
                budget.skip(name, "its unit ended without a statistical verdict")
    return budget.as_dict()
