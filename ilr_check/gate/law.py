"""What a law of the gate is: its text, to whom it applies, and how it judges; one file each in ``laws/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ilr_check.evidence import ClaimText, Figure, Margin, Measured, RivalOutcome
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.subject import Subject
from ilr_check.seeds import derive

Tier = Literal["exact", "standard", "statistical"]
GateProfile = Literal["quick", "standard"]
NOTHING, NO_MARGIN = Measured(value=None), Margin()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One verdict as a law gives it; ``judging`` adds who, when and where to make a finding."""

    group: str
    """What was tried, in a few words."""
    verdict: VerdictWord
    quantity: str = ""
    measured: Measured = NOTHING
    expected: float | None = None
    margin: Margin = NO_MARGIN
    message: str = ""
    diagnosis: str = ""
    snippet: str = ""
    subject: dict[str, Any] = field(default_factory=dict)
    rivals: tuple[RivalOutcome, ...] = ()
    n_steps: int = 0
    dtype: str = "float64"
    detectable: float | None = None
    figure: Figure | None = None


@dataclass(frozen=True)
class Circumstances:
    """What a law needs beside the subject."""

    law: str
    seed: int = 0
    profile: GateProfile = "quick"

    def generator(self, *parts: object) -> np.random.Generator:
        """Random numbers of this law's own, the same for the same seed."""
        return np.random.default_rng(derive("gate", self.law, self.seed, *parts))


@dataclass(frozen=True, kw_only=True)
class GateLaw:
    """A statement about optimizers and the way to test one."""

    text: ClaimText
    tier: Tier
    blind_to: str
    """What this law cannot see."""
    check: Callable[[Subject, Circumstances], Iterable[Reading]]
    applies: Callable[[Subject], str] = lambda subject: ""
    """Why a subject is passed over; empty where it is judged."""

    @property
    def id(self) -> str:
        return self.text.id


def law_text(
    id: str,
    title: str,
    statement: str,
    *,
    equation: str,
    source: str,
    meaning: str,
    rivals: tuple[str, ...] = (),
) -> ClaimText:
    """The text of a law of the gate."""
    return ClaimText(
        id=id,
        title=title,
        statement=statement,
        equation=equation,
        source=source,
        kind="exact",
        chapter="gate",
        groups=("gate",),
        rivals=rivals,
        meaning=meaning,
    )


def ratio_reading(
    ratio: float, *, group: str, quantity: str = "|deviation| / rounding bound", **more: Any
) -> Reading:
    """A verdict on a residual in units of its derived bound: it holds up to 1."""
    verdict: VerdictWord = "holds" if ratio <= 1.0 else "violated"
    value = ratio if np.isfinite(ratio) else None
    return Reading(
        group=group,
        verdict=verdict,
        quantity=quantity,
        measured=Measured(value=value),
        expected=0.0,
        margin=Margin(low=0.0, high=1.0),
        detectable=1.0,
        **more,
    )


def needs_contract(subject: Subject) -> str:
    """For laws that compare with the textbook."""
    return (
        ""
        if subject.contract is not None
        else "no contract is known, so there is no textbook to compare with"
    )


def same_reading(size: float, *, group: str, diagnosis: str, **more: Any) -> Reading:
    """A verdict on two paths that must agree bit for bit; ``{}`` in the diagnosis becomes the difference."""
    words = "agree bit for bit" if size == 0.0 else f"differ by up to {size:.3g}, bitwise equality expected"
    return Reading(
        group=group,
        verdict="holds" if size == 0.0 else "violated",
        quantity="largest difference of an entry",
        measured=Measured(value=size if np.isfinite(size) else None),
        expected=0.0,
        margin=Margin(low=0.0, high=0.0),
        message=f"the two {words}",
        diagnosis="" if size == 0.0 else diagnosis.format(f"{size:.3g}"),
        detectable=0.0,
        **more,
    )


def fact_reading(good: bool, *, group: str, message: str, diagnosis: str, **more: Any) -> Reading:
    """A verdict on a yes or no."""
    return Reading(
        group=group,
        verdict="holds" if good else "violated",
        message=message,
        diagnosis="" if good else diagnosis,
        **more,
    )


def with_figure(reading: Reading, figure: Figure) -> Reading:
    """The same reading with a figure."""
    return replace(reading, figure=figure)


def needs_decay(subject: Subject) -> str:
    """For laws about weight decay."""
    reason = needs("lr", "weight_decay")(subject)
    if reason or subject.contract is None:
        return reason
    where = subject.contract.decay_for(subject.declared).where
    return "the family has no weight decay" if where == "none" else ""


def needs_schedule(subject: Subject) -> str:
    """For laws that change lr and wd between steps."""
    missing = [name for name in ("lr", "weight_decay") if not subject.can_schedule(name)]
    return f"{' and '.join(missing)} cannot be changed in param_groups" if missing else ""


def needs(*names: str) -> Callable[[Subject], str]:
    """For laws that vary hyper-parameters and know the contract."""

    def applies(subject: Subject) -> str:
        reason = needs_contract(subject)
        if reason:
            return reason
        missing = [name for name in names if not subject.can_vary(name)]
        if missing and missing[0] not in subject.hyper_names:
            return f"the family has no {missing[0].replace('_', ' ')}"
        if missing:
            return (
                f"{' and '.join(missing)} can be set neither by an argument nor in param_groups; "
                f"name the target's own word with --names {missing[0]}=..."
            )
        return ""

    return applies
