"""Compare two runs statement by statement: verdicts that changed, and numbers that moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ilr_check.evidence import Record, RunFolder, verdict_order
from ilr_check.reporting import deviation, lanes, numbers, verdicts
from ilr_check.reporting.lanes import Lane

PERCEPTIBLE = 0.25
"""A number has moved if it did so by this share of its margin, besides more than chance."""


@dataclass(frozen=True)
class Pair:
    """One statement in the earlier and in the later run."""

    before: Record
    after: Record

    @property
    def lanes(self) -> tuple[Lane | None, Lane | None]:
        """Return both on the axis of margins."""
        return lanes.lane(self.before), lanes.lane(self.after)

    @property
    def verdict_changed(self) -> bool:
        """Return whether the two runs have two verdicts."""
        return self.before.verdict != self.after.verdict

    @property
    def moved(self) -> float:
        """Return by how many margins the number moved; 0 where one of them has none."""
        stick = deviation.yardstick(self.after)
        if stick is None:
            return 0.0
        old, new = (stick.units(record.measured.value) for record in (self.before, self.after))
        return abs(new - old) if old is not None and new is not None else 0.0

    @property
    def apart(self) -> bool:
        """Return whether the intervals do not meet and the numbers are more than a quarter margin apart."""
        ends = [e for r in (self.before, self.after) for e in (r.measured.low, r.measured.high)]
        known = [end for end in ends if numbers.drawable(end)]
        if len(known) < 4:
            return False
        return (known[1] < known[2] or known[3] < known[0]) and self.moved > PERCEPTIBLE

    @property
    def changed(self) -> bool:
        """Return whether a reader should look at it."""
        return self.verdict_changed or self.apart


@dataclass(frozen=True)
class Changes:
    """What two runs have in common, what changed, and what only one of them has."""

    source: str
    created: str
    pairs: tuple[Pair, ...]
    gone: tuple[Record, ...]
    new: tuple[Record, ...]

    @property
    def changed(self) -> tuple[Pair, ...]:
        """Return the statements to look at: changed verdicts first, then the largest moves."""
        found = [pair for pair in self.pairs if pair.changed]
        return tuple(
            sorted(
                found,
                key=lambda p: (not p.verdict_changed, verdict_order.rank(p.after.verdict), -p.moved),
            )
        )

    @property
    def farthest(self) -> tuple[Pair, ...]:
        """Return the unchanged statements that moved most."""
        found = [pair for pair in self.pairs if not pair.changed and pair.after.counts]
        return tuple(sorted(found, key=lambda pair: -pair.moved)[:12])

    @property
    def sentence(self) -> str:
        """Say in one sentence what changed."""
        verdict = sum(pair.verdict_changed for pair in self.pairs)
        apart = sum(pair.apart and not pair.verdict_changed for pair in self.pairs)
        told = f"{len(self.pairs)} statements are in both runs: "
        told += f"{verdict} verdict{'' if verdict == 1 else 's'} changed, and "
        told += f"{apart} number{'' if apart == 1 else 's'} moved by more than chance and a quarter margin."
        if self.new or self.gone:
            told += f" {len(self.new)} are new, {len(self.gone)} are gone."
        return told

    @property
    def worse(self) -> bool:
        """Return whether a verdict became worse."""
        return any(
            verdict_order.rank(pair.after.verdict) < verdict_order.rank(pair.before.verdict)
            for pair in self.pairs
            if pair.after.counts
        )


def changes(before: RunFolder, after: RunFolder) -> Changes:
    """Compare the records of two runs; a statement is the same if its claim, place and quantity are."""
    old, new = _keyed(before.records()), _keyed(after.records())
    manifest = before.manifest()
    return Changes(
        source=str(before.path),
        created=manifest.created,
        pairs=tuple(Pair(old[key], record) for key, record in new.items() if key in old),
        gone=tuple(record for key, record in old.items() if key not in new),
        new=tuple(record for key, record in new.items() if key not in old),
    )


def _keyed(records: Iterable[Record]) -> dict[tuple[str, ...], Record]:
    """Return records by what they are about; equal ones are numbered."""
    found: dict[tuple[str, ...], Record] = {}
    for record in records:
        # A literal statement that counted once is told apart by its quantity, not by its form.
        key = (record.claim, verdicts.place(record), record.quantity)
        number = 0
        while (*key, str(number)) in found:
            number += 1
        found[(*key, str(number))] = record
    return found
