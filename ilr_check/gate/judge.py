"""The one loop of the gate: laws judge a subject one after another, and each gives its findings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec

from ilr_check.evidence import Figure
from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate.departures import Declared, proposed, settle
from ilr_check.gate.law import Circumstances, GateLaw, LeftOpen, Reading
from ilr_check.gate.laws import gate_laws
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process.surroundings import Watch
from ilr_check.gate.reference.conventions import conventions_of
from ilr_check.gate.reference.nearest import called, numbers_beside
from ilr_check.gate.serving import service_of
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError
from ilr_check.gate.words.exceptions import blames_the_target, encodable, exception_words, raised_at
from ilr_check.gate.words.explanation import NAMELESS
from ilr_check.gate.words.location import step_location
from ilr_check.train.threads import threads

LATE = "bias-correction"
"""The law of late steps, at which an optimizer of another name may go on by another rule, as SWATS does."""
SURROUNDINGS = "leaves-the-world-alone"
STEPS = "textbook-step"
"""The law whose readings propose conventions: it tries every setting of the contract."""


@dataclass(frozen=True)
class Judgement:
    """The result of one law for a subject."""

    law: GateLaw
    findings: tuple[Finding, ...]
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass
class Judge:
    """Judges one subject. Whatever the target changes in the process is undone, and is itself a finding."""

    subject: Subject
    options: GateOptions = field(default_factory=GateOptions)
    location: Location | None = None
    watch: Watch = field(default_factory=Watch)
    broken: set[str] = field(default_factory=set)
    """Laws that were violated so far."""
    conventions: list[Declared] | None = None
    """Declarations that the measured steps propose; ``None`` while no law was violated."""

    def __post_init__(self) -> None:
        self.location = self.location or step_location(self.subject)

    def judge(
        self, laws: Iterable[GateLaw], begin: Callable[[GateLaw], None] = lambda law: None
    ) -> Iterator[Judgement]:
        """Yield the judgement of each law, and last what the target changed beside the laws' own business.

        ``begin`` is called before each law.
        """
        with threads():
            for law in laws:
                begin(law)
                with self.watch.during(law.id, service_of(self.subject, seeded=not law.counts_draws)):
                    judgement = self._judged(law)
                if any(finding.verdict == "violated" for finding in judgement.findings):
                    self.broken.add(law.id)
                yield judgement
            yield self._beside()

    def _judged(self, law: GateLaw) -> Judgement:
        began = time.perf_counter()
        circumstances = Circumstances(
            law.id, self.options.seed, self.options.profile, decided=bool(self.broken - {law.id})
        )
        readings = readings_of(law, self.subject, circumstances)
        if any(reading.verdict == "violated" for reading in readings):
            readings = self._settled(law, readings, circumstances)
        seconds = (time.perf_counter() - began) / max(1, len(readings))
        figures: dict[str, Figure] = {}
        findings = []
        for reading in readings:
            name = ""
            if reading.figure is not None:
                name = f"{law.id}--{len(figures)}"
                figures[name] = msgspec.structs.replace(reading.figure, name=name)
            findings.append(self._finding(law, reading, len(readings), seconds, name))
        return Judgement(law, tuple(findings), figures)

    def _settled(self, law: GateLaw, readings: list[Reading], circumstances: Circumstances) -> list[Reading]:
        """Return the readings, with departures marked."""
        if self.conventions is None:
            steps = gate_laws()[STEPS]
            first = Circumstances(STEPS, self.options.seed, self.options.profile)
            self.conventions = proposed(readings_of(steps, self.subject, first), self.subject)
            self.conventions += _several(self.subject)
        own = [declared for declared in proposed(readings, self.subject) if declared not in self.conventions]
        again = partial(_again, law, circumstances)
        return self._doubted(law, settle(readings, again, self.subject, [*own, *self.conventions]))

    def _doubted(self, law: GateLaw, readings: list[Reading]) -> list[Reading]:
        """Return milder readings where its own numbers, which the family does not know, may be the reason."""
        contract = self.subject.contract
        if contract is None or self.options.contract != "auto":
            return readings
        beside = ", ".join(numbers_beside(self.subject, contract.name))
        late = law.id == LATE and not called(self.subject, contract.name)
        # The late step is compared with no mutation, so that its sentence has no cause.
        nameless = [
            NAMELESS in r.diagnosis or (law.id == LATE and r.group.startswith("step ")) for r in readings
        ]
        told = f"; it has {beside} beside, which {contract.name} does not know" if beside else ""
        return [
            replace(reading, severity="fragility", diagnosis=reading.diagnosis + told)
            if reading.severity is None and ((beside and unexplained) or late)
            else reading
            for reading, unexplained in zip(readings, nameless, strict=True)
        ]

    def _beside(self) -> Judgement:
        """Return what the target changed during the laws, unless its own law has found it already."""
        law = gate_laws()[SURROUNDINGS]
        told = [
            (label, "; ".join(map(str, changes))) for label, changes in self.watch.changes.items() if changes
        ]
        if law.id in self.broken or not told:
            return Judgement(law, ())
        # The first is enough: the target does it again under every law.
        label, words = told[0]
        reading = Reading(group=f"during {label}", verdict="violated", message=words, diagnosis=words)
        return Judgement(law, (self._finding(law, reading, 1, 0.0, ""),))

    def _finding(self, law: GateLaw, reading: Reading, count: int, seconds: float, figure: str) -> Finding:
        subject = self.subject
        group = encodable(reading.group)
        contract = "" if subject.contract is None else subject.contract.name
        return Finding(
            id=f"{law.id}:{group}" if group else law.id,
            claim=law.id,
            kind="statistical" if law.tier == "statistical" or reading.false_fail else "exact",
            form="exact",
            group=group,
            subject={"target": subject.title, "contract": contract, **reading.subject},
            verdict=reading.verdict,
            measured=reading.measured,
            expected=reading.expected,
            margin=reading.margin,
            detectable=reading.detectable,
            false_fail=reading.false_fail,
            false_pass=reading.false_pass,
            rivals=reading.rivals,
            n_runs=reading.n_runs,
            n_steps=reading.n_steps,
            seed=self.options.seed,
            device=subject.device,
            dtype=reading.dtype,
            seconds=seconds,
            message=encodable(reading.message),
            replay="",
            unit=law.id,
            unit_size=count,
            quantity=reading.quantity,
            figure=figure,
            diagnosis=encodable(reading.diagnosis),
            snippet=encodable(reading.snippet),
            location=self.location if reading.verdict == "violated" else None,
            severity=law.severity_of(reading),
            remedy=reading.remedy,
            open=reading.open,
        )


def readings_of(law: GateLaw, subject: Subject, circumstances: Circumstances) -> list[Reading]:
    """Return a law's readings of a subject; an exception that ended its check is the last one."""
    reason = subject.exceptions.get(law.id, "") or law.applies(subject)
    if reason:
        return [Reading(group="", verdict="skipped", message=reason, open=isinstance(reason, LeftOpen))]
    found: list[Reading] = []
    try:
        for reading in law.check(subject, circumstances):
            found.append(reading)  # noqa: PERF402 - what came before an exception counts
    except SystemExit as error:
        words = f"the optimizer calls sys.exit({error.code!r}){raised_at(error)} instead of raising an error"
        found.append(Reading(group="exit", verdict="violated", message=words, diagnosis=words))
    except (SubjectError, CannotVaryError) as error:
        # The constructor refuses a setting of this law: the case is passed over, and those before it count.
        found.append(
            Reading(group="refused setting", verdict="skipped", message=exception_words(error), open=True)
        )
    except Exception as error:
        found.append(_crash(error))
    return [_excepted(law, subject, reading) for reading in found]


def _excepted(law: GateLaw, subject: Subject, reading: Reading) -> Reading:
    """Return a reading of a case that the family does not promise as skipped."""
    case = f"{law.id}:{reading.group}"
    why = next((w for key, w in subject.exceptions.items() if ":" in key and case.startswith(key)), "")
    return replace(reading, verdict="skipped", message=why, diagnosis="") if why else reading


def _crash(error: Exception) -> Reading:
    words, where = exception_words(error), raised_at(error)
    if "support the deepcopy protocol" in words:
        told = "its state holds tensors of an autograd graph, so that nobody can copy or save it"
        return Reading(group="exception", verdict="violated", message=words, diagnosis=told)
    if blames_the_target(error):
        told = f"the optimizer fails with {words}{where}"
        return Reading(group="exception", verdict="violated", message=words, diagnosis=told)
    told = f"an error inside ilr-check, not of the optimizer: {words}{where}"
    return Reading(group="exception", verdict="error", message=words, diagnosis=told)


def _several(subject: Subject) -> list[Declared]:
    """Return the combination of conventions that the measured steps follow, if there is one."""
    try:
        found = conventions_of(subject)
    except Exception:  # whatever the target raises here, the laws tell it
        return []
    return [found] if found else []


def _again(law: GateLaw, circumstances: Circumstances, subject: Subject) -> list[Reading]:
    return readings_of(law, subject, circumstances)


def judge(law: GateLaw, subject: Subject, **named: Any) -> tuple[tuple[Finding, ...], dict[str, Figure]]:
    """Return the result of one law for a subject, with its figures; ``named`` are options of the gate."""
    judgement = next(Judge(subject, GateOptions(**named)).judge((law,)))
    return judgement.findings, judgement.figures
