"""The first screen of the report: verdict, scope, largest deviation, the paper taken literally, next step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ilr_check.evidence import Manifest, PlannedUnit, Record, verdict_order
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.questions import catalogue_size
from ilr_check.reporting import deviation, literal, numbers, verdicts
from ilr_check.reporting.parts import ClaimPart

DATA_NAMES = {
    "digits": "digits",
    "split-digits": "digits",
    "teacher-student": "data of a teacher net",
    "mnist-5k": "MNIST-5k",
    "mnist": "MNIST",
    "cifar-10": "CIFAR-10",
    "text": "text",
}


@dataclass(frozen=True)
class Banner:
    """The answer, one sentence, the exit code, and the lines below them."""

    verdict: str
    answer: str
    sentence: str
    exit_code: int
    exit_meaning: str
    scope: tuple[str, ...]
    partial: str
    """What the run leaves open of the catalogue and of its own plan; empty where nothing is left."""
    largest: str
    raw: str
    raw_misses: bool
    grades: str
    next_words: str
    next_command: str

    @property
    def tone(self) -> str:
        """Return the verdict that colours the banner: never green while part of the plan was not judged."""
        return "inconclusive" if self.verdict == "holds" and "planned" in self.partial else self.verdict


def banner(
    manifest: Manifest,
    records: Sequence[Record],
    parts: Sequence[ClaimPart],
    unfinished: Sequence[PlannedUnit],
) -> Banner:
    """Return the first screen of a run."""
    allow = bool(manifest.settings.get("allow_inconclusive", False))
    code = exit_code(records, allow_inconclusive=allow)
    if manifest.status == "interrupted":
        code = 130
    verdict = min((part.verdict for part in parts), key=verdict_order.rank, default="not run")
    if verdict == "not run" and records and not unfinished:
        verdict = verdicts.worst(records)
    gate = "gate" in manifest.command.split()[:2]
    subject = "The optimizer keeps its laws" if gate else "Every claim that was judged holds"
    denied = "The optimizer breaks its laws" if gate else "The theory does not hold everywhere here"
    answer = {
        "holds": f"{subject}.",
        "expected_failure": f"{subject}, except where you said it would not.",
        "violated": f"{denied}.",
        "unexpected_pass": "A failure that you declared did not happen.",
        "inconclusive": "Undecided: the data do not settle it.",
        "error": "The run could not judge everything.",
        "skipped": "Nothing was judged.",
    }.get(verdict, "This run is not finished.")
    raw, misses = literal.raw_statements(records)
    words, command = _next(manifest, parts, unfinished)
    return Banner(
        verdict=verdict,
        answer=answer,
        sentence=_sentence(parts, records, unfinished, verdict),
        exit_code=code,
        exit_meaning=verdicts.EXIT_MEANINGS[code],
        scope=_scope(records, parts, gate=gate),
        partial=_partial(parts, unfinished, gate=gate),
        largest=_largest(parts),
        raw=raw,
        raw_misses=misses,
        grades=verdicts.grades(records),
        next_words=words,
        next_command=command,
    )


def _judged(parts: Sequence[ClaimPart]) -> list[ClaimPart]:
    return [part for part in parts if part.verdict not in ("skipped", "not run")]


def _scope(records: Sequence[Record], parts: Sequence[ClaimPart], *, gate: bool) -> tuple[str, ...]:
    """Return what was tested, in a few words each."""
    judged = [r for r in records if r.counts and r.verdict != "skipped"]
    reported = sum(not r.counts for r in records)
    trained = [r for r in judged if r.kind != "exact"]
    nets = {json.dumps(r.subject["net"], sort_keys=True) for r in trained if "net" in r.subject}
    kinds = [r.subject["data"].get("kind") for r in trained if isinstance(r.subject.get("data"), dict)]
    data = list(dict.fromkeys(DATA_NAMES.get(kind, str(kind)) for kind in kinds))
    size = catalogue_size()
    here = len(_judged(parts))
    told = [f"{here} of {size} claims" if not gate and size >= here else _count(here, "claim")]
    if nets:
        told.append(_count(len(nets), "trained net") + (f" on {_listed(data)}" if data else ""))
    if examples := sum(r.n_runs for r in judged if r.kind == "exact"):
        told.append(f"{examples} examples of exact laws")
    told.append(f"{_count(len(judged), 'statement')} judged")
    if reported:
        told.append(f"{reported} reported, not judged")
    return tuple(told)


def _partial(parts: Sequence[ClaimPart], unfinished: Sequence[PlannedUnit], *, gate: bool) -> str:
    here, size = len(_judged(parts)), catalogue_size()
    told = []
    if planned := len(parts) - here:
        told.append(f"{_count(planned, 'planned claim')} not judged")
    elif unfinished:
        told.append(f"{_count(len(unfinished), 'planned piece')} of work not finished")
    if not gate and size > here:
        told.append(f"{_count(size - here, 'claim')} of the catalogue not in this run")
    return "; ".join(told)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _largest(parts: Sequence[ClaimPart]) -> str:
    """Return the largest deviation of a statistical statement in plain words, else of any statement."""
    found = [
        (stick.units(r.measured.value), r, part)
        for part in parts
        for r in part.records
        if r.counts and r.verdict != "skipped" and r.form not in ("exact", "identity")
        if not verdicts.is_departure(r)
        if (stick := deviation.yardstick(r)) is not None
    ]
    known = [(_bounded(units, r), r, part) for units, r, part in found if units is not None]
    if not known:
        return ""
    units, record, part = max(known, key=lambda entry: entry[0])
    place = f"{part.text.title}; {verdicts.place(record)}"
    return f"{_told(record)}: {deviation.share(units)} ({place})."


def _told(record: Record) -> str:
    """Say what was measured and what was expected; a ratio "less 1" is told in per cent."""
    value, margin = record.measured.value, record.margin
    ratio, less, _ = record.quantity.partition(", less 1")
    if less and record.expected == 0 and value is not None and margin.high is not None:
        side = "above" if value > 0 else "below"
        room = numbers.number(100 * margin.high, 2)
        return (
            f"{ratio} is {numbers.number(abs(100 * value), 2)} % {side} 1, the value of the theory, "
            f"and may be {room} % off"
        )
    against = "" if deviation.bound_only(record) else f", where the theory says {deviation.expected(record)}"
    return (
        f"{record.quantity or 'the measured number'} is {numbers.number(value, 3)}{against}, with margin "
        f"{numbers.margin(margin)}"
    )


def _bounded(units: float, record: Record) -> float:
    """Return the size of a deviation towards a bound."""
    if record.margin.low is None:
        return max(units, 0.0)
    if record.margin.high is None:
        return max(-units, 0.0)
    return abs(units)


def _next(
    manifest: Manifest, parts: Sequence[ClaimPart], unfinished: Sequence[PlannedUnit]
) -> tuple[str, str]:
    """Return what to do next, and the command for it."""
    failed = [part for part in parts if part.failed]
    if unfinished:
        return "Finish the run: continue it in its folder.", "ilr-check verify --resume RUN"
    if failed:
        return f"Start with “{failed[0].text.title}” below: it has the lines that repeat each failure.", ""
    if "gate" in manifest.command.split()[:2]:
        return "", ""
    here = {part.text.chapter for part in parts}
    for chapter in ("exact", "mean-field", "function-space", "language-models"):
        judged = sum(part.text.chapter == chapter for part in parts)
        if chapter not in here or judged < 5:
            return (
                "Nothing needs attention. To judge more of the theory:",
                f"ilr-check verify --claims {chapter}",
            )
    return "Nothing needs attention.", ""


def _sentence(
    parts: Sequence[ClaimPart],
    records: Sequence[Record],
    unfinished: Sequence[PlannedUnit],
    verdict: str,
) -> str:
    known = sum(map(verdicts.is_departure, records))
    judged = [r for r in records if r.counts and r.verdict != "skipped" and not verdicts.is_departure(r)]
    agreeing = sum(r.verdict in ("holds", "expected_failure") for r in judged)
    concerned = [part.text.title for part in parts if part.verdict == verdict]
    ran = len(_judged(parts))
    names = "; ".join(concerned[:3]) + (f"; and {len(concerned) - 3} more" if len(concerned) > 3 else "")
    what = verdicts.words(verdict)
    if verdict == "holds":
        start = f"All {ran} claims that were run hold" if ran != 1 else "The one claim that was run holds"
    elif concerned and ran:
        start = f"{len(concerned)} of {len(parts)} claims {'is' if len(concerned) == 1 else 'are'} "
        start += f"{what}: {names}" if verdict != "error" else f"stopped by an error: {names}"
    else:
        start = "No claim was judged"
    text = f"{start}. {agreeing} of {len(judged)} judged statements came out as the theory says."
    if known:
        text += f" {known} known departure{'s' * (known > 1)} from the theory came out as expected."
    if unfinished:
        pieces = "piece" if len(unfinished) == 1 else "pieces"
        text += f" {len(unfinished)} planned {pieces} of work did not finish."
    return text
