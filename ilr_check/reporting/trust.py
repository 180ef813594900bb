"""The part of the report about the judge: what its mistakes cost, and how its rates were measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ilr_check.evidence import Record
from ilr_check.reporting import deviation, numbers

MISTAKES = {"false pass": "false holds", "false fail": "false violated", "power": "missed deviation"}
"""The mistakes in the words of the report, by their names in the calibration."""
WIDEST = 1.5
"""The axis of the calibration ends at this multiple of the promised rate."""


@dataclass(frozen=True)
class Rate:
    """How often a decision rule made one mistake on data of known truth, as a share of the promised rate."""

    what: str
    share: float

    @property
    def left(self) -> float:
        """Return its place on the axis, in percent."""
        return round(100 * min(self.share / WIDEST, 1.0), 2)


@dataclass(frozen=True)
class Trust:
    """The mistakes that this run makes on average, what it could see, and the calibration."""

    decisions: int
    false_violated: str
    false_holds: str
    detectable: str
    rates: tuple[tuple[str, tuple[Rate, ...]], ...]
    """The measured rates of each decision rule."""
    calibration: dict[str, Any]


def trust(records: Sequence[Record]) -> Trust:
    """Return what a reader has to know about the verdicts of a run."""
    judged = [r for r in records if r.kind != "exact" and r.counts and r.verdict != "skipped"]
    decisions = [r for r in judged if r.false_fail or r.false_pass]
    stored = _stored()
    worst = stored.get("worst_inflation_by_decision", {})
    rates = [
        (
            str(rule).replace("looks", "interim analyses"),
            tuple(Rate(MISTAKES.get(what, str(what)), float(share)) for what, share in shares.items()),
        )
        for rule, shares in (worst.items() if isinstance(worst, dict) else ())
        if isinstance(shares, dict) and all(isinstance(share, int | float) for share in shares.values())
    ]
    scalars = {key: value for key, value in stored.items() if not isinstance(value, list | dict)}
    return Trust(
        decisions=len(decisions),
        false_violated=numbers.number(sum(r.false_fail for r in decisions), 2),
        false_holds=numbers.number(sum(r.false_pass for r in decisions if r.verdict == "holds"), 2),
        detectable=_detectable(decisions),
        rates=tuple(rates),
        calibration=scalars,
    )


def _detectable(decisions: Sequence[Record]) -> str:
    """Say from which deviation on the run would have called a claim violated 95 times in 100."""
    found = []
    for record in decisions:
        stick = deviation.yardstick(record)
        room = min(stick.below, stick.above) if stick is not None else 0.0
        if room > 0 and numbers.drawable(record.detectable):
            found.append(abs(record.detectable) / room)
    if not found:
        return ""
    middle, worst = statistics.median(found), max(found)
    return (
        f"{len(found)} of them have a known power: 95 times in 100, half of these find a deviation of "
        f"{numbers.number(middle, 2)} margins or less, and all of them one of {numbers.number(worst, 2)}."
    )


def _stored() -> dict[str, Any]:
    """Return the measured error rates of the decision rules, where the installed package includes them."""
    try:
        stored = json.loads((resources.files("ilr_check.stats") / "calibration.json").read_text("utf-8"))
    except (OSError, ModuleNotFoundError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
