"""Telling departures from defects: a law that holds once a convention is declared was only departed from.

A reference implementation steps by one convention. Where the measured steps are exactly those of another
documented one, each violated law is judged again under that declaration. What then holds is a departure, and
its finding proposes the declaration; what still fails is a defect of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ilr_check.gate.law import Reading
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.explanation import is_convention

Declared = Mapping[str, Any]


def proposed(readings: Iterable[Reading], subject: Subject) -> list[Declared]:
    """Return the conventions that violated readings propose, each alone, and all together last."""
    found: list[Declared] = []
    for reading in readings:
        if (
            reading.verdict == "violated"
            and is_convention(reading.declares, subject)
            and reading.declares not in found
        ):
            found.append(dict(reading.declares))
    merged: dict[str, Any] = {}
    for declared in found:
        merged |= declared
    return [*found, merged] if len(found) > 1 else found


def settle(
    readings: list[Reading], again: Callable[[Subject], list[Reading]], subject: Subject, ways: list[Declared]
) -> list[Reading]:
    """Return the readings, where those that a declaration settles are departures with that remedy.

    ``again`` judges the same law of another subject.
    """
    for declared in ways:
        failing = {r.group for r in readings if r.verdict == "violated" and r.severity != "departure"}
        if not failing or subject.contract is None:
            break
        other = again(subject.with_contract(subject.contract, {**subject.declared, **declared}))
        # What is left of a factor in float32 is milder than the departure, and told with it. What was milder
        # before and still fails has another cause.
        before = {r.group: r.severity for r in readings}
        left = {
            r.group
            for r in other
            if r.verdict not in ("holds", "skipped") and r.severity in (None, before.get(r.group))
        }
        settled = failing - left
        remedy = " ".join(f"--declare {name}={value}" for name, value in declared.items())
        readings = [
            replace(r, severity="departure", remedy=remedy)
            if r.group in settled and r.verdict == "violated"
            else r
            for r in readings
        ]
    return readings
