"""The record: one judged statement about one subject. It is one line of ``verdicts.jsonl``.

Field names are public: scripts read them. Adding a field is allowed, renaming one is not.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1

Kind = Literal["exact", "statistical", "distributional"]
Form = Literal["exact", "identity", "transfer", "prediction", "raw"]
Agreement = Literal["", "agrees", "deviates within the margin", "inequality"]
VerdictWord = Literal[
    "holds", "violated", "inconclusive", "error", "skipped", "expected_failure", "unexpected_pass"
]


class Measured(msgspec.Struct, frozen=True):
    """A measured number and its interval. A field is ``None`` if it was not measured."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Margin(msgspec.Struct, frozen=True):
    """The range in which ``measured`` must lie for the claim to hold."""

    low: float | None = None
    high: float | None = None


class RivalOutcome(msgspec.Struct, frozen=True):
    """A rival theory: the number that it expects, and whether the data exclude it."""

    name: str
    expected: float | None
    excluded: bool


class Premise(msgspec.Struct, frozen=True, kw_only=True):
    """A premise of a law, measured on the judged runs: ``measured`` must lie in ``margin``."""

    name: str
    measured: float
    margin: Margin
    met: bool

    @classmethod
    def within(cls, name: str, measured: float, limit: float) -> Premise:
        """Return the premise that a number lies between ``-limit`` and ``limit``."""
        return cls(
            name=name, measured=measured, margin=Margin(low=-limit, high=limit), met=abs(measured) <= limit
        )


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One verdict.

    ``id`` is unique within a run. ``unit`` names the unit of work that produced the record. ``unit_size`` is
    the number of records of that unit, by which a half-written unit is recognised. ``subject`` is the full
    spec as JSON. ``detectable`` is the smallest deviation that would be found ``violated`` with probability
    0.95. ``false_fail`` and ``false_pass`` are the promised error rates; both are 0 for exact claims.
    ``seconds`` is the only field that may differ between two runs with the same seed.
    """

    id: str
    claim: str
    kind: Kind
    form: Form
    group: str
    subject: dict[str, Any]
    verdict: VerdictWord
    measured: Measured
    expected: float | None
    margin: Margin
    detectable: float | None
    false_fail: float
    false_pass: float
    rivals: tuple[RivalOutcome, ...]
    n_runs: int
    n_steps: int
    seed: int
    device: str
    dtype: str
    seconds: float
    message: str
    replay: str
    unit: str
    unit_size: int
    quantity: str = ""
    """The name of ``measured`` in tables and on axes."""
    counts: bool = True
    """Whether this verdict can change the exit code. The raw form never does."""
    events: dict[str, int] = {}
    """The cases that the generator covered: the number of examples for each label."""
    figure: str = ""
    """The name of the figure in ``traces/`` that shows this verdict, without its suffix."""
    agreement: Agreement = ""
    """Whether the interval contains the expected value. ``inequality`` means that only one side is
    bounded."""
    premises: tuple[Premise, ...] = ()
    departure: str = ""
    """Why this subject is known to depart from the claim; empty where it is not."""
    expected_verdict: VerdictWord | Literal[""] = ""
    """The verdict that a known departure has. With it the verdict is ``expected_failure``."""


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON, without the newline."""
    return msgspec.json.encode(record)


def decode(line: bytes | str) -> Record:
    """Return the record of one line. Raises ``msgspec.ValidationError`` that names the wrong field."""
    return msgspec.json.decode(line, type=Record)
