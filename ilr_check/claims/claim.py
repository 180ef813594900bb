"""What a claim is: its text, the work it plans, and how one piece of that work is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ilr_check.data import DataSpec
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, RivalOutcome
from ilr_check.evidence.records import Agreement, Form, Premise, VerdictWord
from ilr_check.nets.specs import NetSpec
from ilr_check.train.world import World

Profile = Literal["quick", "standard", "paper", "nightly"]
Progress = Callable[[float], None]


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit that takes hours trains, so that its cost can be predicted before it starts.

    Each of ``populations`` has ``runs`` runs of ``steps`` steps in its first look, ``most_runs`` in its last;
    ``recorded`` is whether every step is kept.
    """

    net: NetSpec
    data: DataSpec
    batch_size: int
    steps: int
    runs: int
    most_runs: int
    populations: int = 1
    recorded: bool = False
    dtype: Literal["float32", "float64"] = "float32"


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work, as plain values: it can be sent to another process and is finished or not.

    ``decisions`` names the verdicts that may err at random; each gets its share of the error budget.
    """

    claim: str
    title: str
    subject: dict[str, Any]
    decisions: tuple[str, ...] = ()
    workload: Workload | None = None


@dataclass(frozen=True)
class Context:
    """What a unit needs besides its subject."""

    seed: int
    profile: Profile
    device: str = "cpu"
    alphas: Mapping[str, float] = field(default_factory=dict)
    """Decision name to its share of the false-fail budget."""
    false_pass: float = 1e-2
    """P(holds) that one decision may have while the truth lies outside its margin."""
    default_alpha: float = 1e-5
    """For a decision that was not planned: a replay, or a test that judges one unit by hand."""
    progress: Progress = lambda fraction: None
    world: World | None = None
    """How the trainings depart from plain training; ``None`` where they do not."""

    def alpha(self, decision: str) -> float:
        """The false-fail rate that a decision may spend."""
        return self.alphas.get(decision, self.default_alpha)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One verdict as a claim gives it; the engine adds who, when and where to make a record."""

    form: Form
    group: str
    subject: dict[str, Any]
    verdict: VerdictWord
    quantity: str
    measured: Measured
    expected: float | None
    margin: Margin
    message: str
    detectable: float | None = None
    false_fail: float = 0.0
    false_pass: float = 0.0
    rivals: tuple[RivalOutcome, ...] = ()
    n_runs: int = 1
    n_steps: int = 0
    dtype: str = "float64"
    counts: bool = True
    events: dict[str, int] = field(default_factory=dict)
    figure: str = ""
    agreement: Agreement = ""
    premises: tuple[Premise, ...] = ()
    departure: str = ""
    """Why this subject is known to depart from the claim; empty where it is not."""
    expected_verdict: VerdictWord | Literal[""] = ""
    """The verdict that a known departure has; empty where there is none."""


@dataclass(frozen=True)
class Judged:
    """What judging a unit gives."""

    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of the theory and the way to test it; one module of ``ilr_check.claims`` each."""

    text: ClaimText
    plan: Callable[[Profile, int], tuple[Unit, ...]]
    """(profile, seed) -> the units to judge; cheap and deterministic."""
    judge: Callable[[dict[str, Any], Context], Judged]
    """(subject, context) -> verdicts; a deterministic function of both."""

    @property
    def id(self) -> str:
        return self.text.id
