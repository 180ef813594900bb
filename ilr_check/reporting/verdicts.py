"""Show verdicts to a reader: symbol, order, and roll-up to a claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ilr_check.evidence import Record, verdict_order
from ilr_check.evidence.verdict_order import rank

SYMBOLS = {
    "violated": "✗",
    "error": "!",
    "unexpected_pass": "‼",
    "inconclusive": "?",
    "skipped": "–",
    "expected_failure": "≈",
    "holds": "✓",
    "not run": "…",
}
"""Each word has its own shape, so that no verdict depends on colour alone."""

ASCII_SYMBOLS = {
    "violated": "X",
    "error": "!",
    "unexpected_pass": "!!",
    "inconclusive": "?",
    "skipped": "-",
    "expected_failure": "~",
    "holds": "+",
    "not run": ".",
}

EXIT_MEANINGS = {
    0: "every claim that was run holds",
    1: "at least one claim is violated",
    2: "an error, or nothing was run at all",
    3: "nothing is violated, but something stayed inconclusive",
    130: "interrupted; what was finished is kept",
}

FORM_NOTES = {
    "exact": "holds step by step, up to rounding",
    "identity": "noise of the same run: judges the trainer, not the theory",
    "transfer": "noise from other, independent runs: judges the law",
    "raw": "the paper's wording as it stands",
}


def words(verdict: str) -> str:
    """Return the verdict as prose: ``expected failure`` for ``expected_failure``."""
    return verdict.replace("_", " ")


def word_of(record: Record) -> str:
    """Return the verdict of a record as prose; ``known departure`` where the claim expects that it fails."""
    return "known departure" if is_departure(record) else words(record.verdict)


def is_departure(record: Record) -> bool:
    """Return whether a record is about a known departure of the theory and came out as expected."""
    return bool(record.departure) and record.verdict == "expected_failure"


def place(record: Record) -> str:
    """Return which subject, and which group of it, a record is about."""
    title = record.subject.get("title")
    return f"{title}: {record.group}" if isinstance(title, str) and title != record.group else record.group


def worst(records: Iterable[Record]) -> str:
    """Return the verdict of a claim: the worst of those that count, and ``not run`` where there is none.

    A known departure that came out as expected does not decide, unless there is nothing else.
    """
    counted = [record for record in records if record.counts]
    others = [record for record in counted if not is_departure(record)]
    return verdict_order.worst(record.verdict for record in others or counted)


def tally(verdicts: Iterable[str]) -> dict[str, int]:
    """Return how often each verdict occurs, the worst first."""
    counts = Counter(verdicts)
    return {word: counts[word] for word in sorted(counts, key=rank)}


def grades(records: Iterable[Record]) -> str:
    """Say how the records that hold do so: which are algebra, and which laws agree with theory.

    Identities and exact rows judge the trainer and the optimizer, not the theory of training, so they are
    counted apart.
    """
    held = [record for record in records if record.verdict == "holds" and record.counts]
    algebra = sum(record.form in ("exact", "identity") for record in held)
    kinds = {
        "agrees": ("agrees with theory", "agree with theory"),
        "deviates within the margin": (
            "deviates from it within the margin",
            "deviate from it within the margin",
        ),
        "inequality": ("is an inequality", "are inequalities"),
    }
    counted = {words: sum(record.agreement == kind for record in held) for kind, words in kinds.items()}
    if not any(counted.values()):
        return ""
    counted["is algebra, which judges the trainer", "are algebra, which judges the trainer"] = algebra
    told = ", ".join(f"{n} {one if n == 1 else many}" for (one, many), n in counted.items() if n)
    at_most = sum(record.false_pass for record in held)
    return f"{told}; if every theory were wrong, at most {at_most:.2g} of them would be false on average"


def known_departures(records: Iterable[Record]) -> str:
    """Report what is known to depart from its claim and came out so; empty where nothing was judged."""
    found = [record for record in records if is_departure(record)]
    if not found:
        return ""
    places = "; ".join(f"{record.claim} ({place(record)}): {record.departure}" for record in found)
    return f"Known departures from the theory, which came out as expected: {len(found)}. {places}."
