"""A law of the gate: its text, the subjects that it judges, and its check; one file each in ``laws/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ilr_check.evidence import ClaimText, Figure, Margin, Measured, RivalOutcome, Severity
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.options import GateProfile
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.contract import Decay
from ilr_check.seeds import derive

Tier = Literal["exact", "standard", "statistical"]
NOTHING, NO_MARGIN = Measured(value=None), Margin()
SWITCHED_DECAY = "decoupled_weight_decay"
NO_CONTRACT = "no contract is known, so there is no reference implementation to compare with"


class LeftOpen(str):
    """Why a law was not judged although it applies. Any other reason says that the law does not apply."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One verdict as a law gives it; ``judge`` adds who, when and where to make a finding."""

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
    n_runs: int = 1
    false_fail: float = 0.0
    """The probability that a right optimizer is violated; 0 where nothing is random."""
    false_pass: float = 0.0
    """The probability that one whose deviation is as large as the margin holds."""
    dtype: str = "float64"
    detectable: float | None = None
    figure: Figure | None = None
    severity: Severity | None = None
    """The severity of a violation of this case; ``None`` leaves it to the law."""
    remedy: str = ""
    """The remedy, such as a declaration, if the optimizer means this behaviour."""
    declares: Mapping[str, Any] = field(default_factory=dict)
    """The declaration under which the contract would agree with the measurement."""
    open: bool = False
    """Whether the law applies although this reading is skipped."""
    raised: bool = False
    """Whether a violation is an exception, which its user sees at once, and not a wrong number."""


@dataclass(frozen=True)
class Circumstances:
    """What a law needs besides the subject."""

    law: str
    seed: int = 0
    profile: GateProfile = "quick"
    decided: bool = False
    """Whether another law has found a violation already, so that no time is spent on a smaller example."""

    def generator(self, *parts: object) -> np.random.Generator:
        """Return a random generator that depends only on the law, the seed and ``parts``."""
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
    """Returns why a subject is skipped; empty where it is judged. ``LeftOpen`` where the law applies."""
    counts_draws: bool = False
    """Whether it looks at the random numbers themselves, which are seeded from the gradients for others."""
    milder: Mapping[str, tuple[Severity, str]] = field(default_factory=dict)
    """Cases, by how their group begins, that are no ``defect``: the severity, and why. "" is every case."""
    refusable: Mapping[str, str] = field(default_factory=dict)
    """Cases, by words of their group, in which an exception is a fragility and a wrong number is not: why."""

    @property
    def id(self) -> str:
        return self.text.id

    def severity_of(self, reading: Reading) -> Severity:
        """Return the severity of a violation of this case."""
        if reading.severity is not None:
            return reading.severity
        if reading.raised and any(case in reading.group for case in self.refusable):
            return "fragility"
        found = (severity for case, (severity, _) in self.milder.items() if reading.group.startswith(case))
        return next(found, "defect")


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
    """Return the text of a law of the gate."""
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
    """Return the verdict on a residual in units of its derived bound: it holds up to 1."""
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
    """Return why a law that needs the reference implementation is not judged; empty where it is."""
    return "" if subject.contract is not None else LeftOpen(NO_CONTRACT)


def same_reading(size: float, *, group: str, diagnosis: str, **more: Any) -> Reading:
    """Return a verdict on two paths that must agree bitwise; ``{}`` in a diagnosis is the difference."""
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
    """Return the verdict on a yes or no."""
    return Reading(
        group=group,
        verdict="holds" if good else "violated",
        message=message,
        diagnosis="" if good else diagnosis,
        **more,
    )


def with_figure(reading: Reading, figure: Figure) -> Reading:
    """Return the same reading with a figure."""
    return replace(reading, figure=figure)


def needs_decay(subject: Subject) -> str:
    """Return why a law about weight decay is not judged; empty where it is."""
    reason = needs("lr", "weight_decay")(subject)
    if reason or subject.contract is None:
        return reason
    where = decay_of(subject).where
    return "the family has no weight decay" if where == "none" else ""


def decay_of(subject: Subject) -> Decay:
    """Return the decay of the contract at the target's own settings, which may choose another place."""
    assert subject.contract is not None
    chosen: dict[str, Any] = {}
    if SWITCHED_DECAY in subject.contract.names:
        chosen[SWITCHED_DECAY] = subject.read(subject.build([nn.Parameter(torch.ones(2, 2))]))[SWITCHED_DECAY]
    return subject.contract.decay_for({**chosen, **subject.declared})


def needs_schedule(subject: Subject) -> str:
    """Return why a law that changes lr and wd between steps is not judged; empty where it is."""
    missing = [name for name in ("lr", "weight_decay") if not subject.can_schedule(name)]
    return f"{' and '.join(missing)} cannot be changed in param_groups" if missing else ""


def needs(*names: str) -> Callable[[Subject], str]:
    """Return why a law that varies the contract's hyper-parameters is not judged; empty where it is."""

    def applies(subject: Subject) -> str:
        reason = needs_contract(subject)
        if reason:
            return reason
        missing = [name for name in names if not subject.can_vary(name)]
        if missing and missing[0] not in subject.hyper_names:
            return f"the family has no {missing[0].replace('_', ' ')}"
        told = [subject.unwanted[name] for name in missing if name in subject.unwanted]
        if told:
            return LeftOpen(f"{missing[0]} cannot be varied: {told[0]}")
        if missing == ["weight_decay"] and subject.taken is not None:
            return (
                "this optimizer has no weight decay; if it has, name its word with --names weight_decay=..."
            )
        if missing:
            return LeftOpen(
                f"{' and '.join(missing)} can be set neither by an argument nor in param_groups; "
                f"name the optimizer's own word with --names {missing[0]}=..."
            )
        return ""

    return applies
