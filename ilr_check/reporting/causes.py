"""Group what somebody has to act on by its cause, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ilr_check.evidence import Record, verdict_order
from ilr_check.reporting import verdicts
from ilr_check.reporting.parts import ClaimPart


@dataclass(frozen=True)
class Cause:
    """Records that fail for one reason: a sentence, what to do about it, and the records."""

    verdict: str
    sentence: str
    advice: str
    records: tuple[Record, ...]

    @property
    def claims(self) -> tuple[str, ...]:
        """Return the ids of the claims that it concerns."""
        return tuple(dict.fromkeys(record.claim for record in self.records))


def causes(parts: Sequence[ClaimPart]) -> tuple[Cause, ...]:
    """Return the causes of all failures of a run: the worst verdict first, then the most frequent."""
    grouped: dict[tuple[str, str, str], list[Record]] = {}
    for part in parts:
        for record in part.records:
            if record.counts and record.verdict in verdict_order.FAILED:
                sentence, advice = _why(record, part)
                grouped.setdefault((record.verdict, sentence, advice), []).append(record)
    found = [Cause(*key, tuple(records)) for key, records in grouped.items()]
    return tuple(sorted(found, key=lambda cause: (verdict_order.rank(cause.verdict), -len(cause.records))))


def _why(record: Record, part: ClaimPart) -> tuple[str, str]:
    unmet = [premise.name for premise in record.premises if not premise.met]
    if record.verdict == "error":
        first = next((line.strip() for line in record.message.splitlines() if line.strip()), "no message")
        return first, "This is no verdict about the theory. Repeat it with the line below and --debug."
    if unmet:
        return f"A premise is not met: {'; '.join(unmet)}", (
            "The statement presupposes it, so this run cannot judge the statement."
        )
    if record.verdict == "inconclusive":
        alive = [rival.name for rival in record.rivals if not rival.excluded]
        if alive:
            return f"“{part.text.title}”: a rival is not refuted ({'; '.join(alive)})", (
                "More runs decide: try another --seed, or a larger --profile."
            )
        return f"“{part.text.title}”: the interval reaches over an end of the margin", (
            "More runs decide: try another --seed, or a larger --profile."
        )
    if record.verdict == "unexpected_pass":
        return f"“{part.text.title}” holds, and you declared that it fails", (
            "Remove it from the file of --expected-failures."
        )
    return f"“{part.text.title}” is {verdicts.words(record.verdict)}", part.text.meaning
