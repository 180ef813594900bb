"""Judging one optimizer: the contract is found, the laws are chosen, and each gives its findings."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ilr_check.evidence import Figure
from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate.law import Circumstances, GateLaw, GateProfile, Reading
from ilr_check.gate.laws import gate_laws
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.process.surroundings import Watch
from ilr_check.gate.reference.same_steps import REFERENCE, apart
from ilr_check.gate.result import GateResult
from ilr_check.gate.stimuli.scenarios import traces
from ilr_check.gate.subject import BASIC, WEIGHT_DTYPES, Subject, SubjectError
from ilr_check.gate.tags import tags_of
from ilr_check.gate.words.location import step_location
from ilr_check.optim.contracts import contract_named, contracts
from ilr_check.train.threads import threads

PROFILES = ("quick", "standard")
SURROUNDINGS = "leaves-the-world-alone"


def check_optimizer(
    factory: Callable[..., Any],
    *,
    contract: str = "auto",
    claims: str = "all",
    profile: str = "quick",
    seed: int = 0,
    args: Mapping[str, Any] | None = None,
    declare: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    impl: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    setup: Callable[[Any], Any] | None = None,
    reference: Callable[..., Any] | None = None,
    device: str = "cpu",
    dtype: str = "all",
    name: str = "",
) -> GateResult:
    """Judge an optimizer class or factory by what its family promises.

    ``claims`` are law ids or tiers, comma-separated; ``args`` are constructor arguments; ``declare`` states
    intended variations; ``names`` maps our words to the target's; ``impl`` are implementation
    switches; ``tags`` say how the optimizer wants to be driven; ``setup`` prepares it after it was built;
    ``reference`` is another optimizer, whose steps are compared; ``dtype`` names the dtypes of
    weights that the optimizer is made for, comma-separated.
    Raises ``ValueError`` for a setting out of range and ``SubjectError`` for a target that cannot be built.
    """
    subject, note = subject_of(
        factory,
        contract=contract,
        args=args,
        declare=declare,
        names=names,
        impl=impl,
        tags=tags,
        setup=setup,
        device=device,
        dtype=dtype,
        name=name,
    )
    findings: list[Finding] = []
    figures: dict[str, Figure] = {}
    watch = Watch()
    with threads():
        location = step_location(subject)
        for law in planned(claims, profile):
            with watch.during(law.id):
                judged, drawn = judge(law, subject, seed=seed, profile=profile, location=location)
            findings += judged
            figures.update(drawn)
    if reference is not None:
        findings += same_steps(subject, reference, args=args, seed=seed, location=location)
    findings += beside(watch, subject, findings, seed=seed, location=location)
    return GateResult(
        target=subject.title,
        contract="" if subject.contract is None else subject.contract.name,
        contract_note=note,
        findings=tuple(findings),
        figures=figures,
    )


def subject_of(
    factory: Callable[..., Any],
    *,
    contract: str = "auto",
    args: Mapping[str, Any] | None = None,
    declare: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    impl: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    setup: Callable[[Any], Any] | None = None,
    device: str = "cpu",
    dtype: str = "all",
    name: str = "",
) -> tuple[Subject, str]:
    """The subject with its contract, and how the contract was found."""
    dtypes = dtypes_named(dtype)
    if not callable(factory):
        raise SubjectError(f"{factory!r} is not callable; give an optimizer class or a factory")
    bare = Subject(
        factory,
        None,
        dict(args or {}),
        dict(names or {}),
        {},
        dict(impl or {}),
        device=device,
        name=name,
        dtypes=dtypes,
        tags=tags_of(factory, tags or {}),
        setup=setup,
    )
    _demand_names(bare)
    if contract == "auto":
        from ilr_check.gate.reference.family import infer

        found, note = infer(bare)
    else:
        found, note = contract_named(contract), "named by the caller"
    declared = {} if found is None else found.declared(declare or {})
    if found is None and declare:
        raise ValueError("declare needs a contract; name one instead of auto")
    subject = replace(bare, contract=found, declared=declared)
    subject.check_built()
    return subject, note


def dtypes_named(words: str) -> tuple[str, ...]:
    """``all``, or names of dtypes separated by commas; raises ``ValueError`` for another word."""
    if words == "all":
        return WEIGHT_DTYPES
    named = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in named:
        if name not in WEIGHT_DTYPES:
            raise ValueError(
                f"dtype {name!r} is not known; choose all, or some of {', '.join(WEIGHT_DTYPES)}"
            )
    return named


def _demand_names(bare: Subject) -> None:
    """Raise ``ValueError`` for a renaming of what no family has, or to what the target does not have."""
    known = sorted({*BASIC, *(ours for contract in contracts().values() for ours in contract.names)})
    for ours, theirs in bare.names.items():
        if ours not in known:
            close = difflib.get_close_matches(ours, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"names {ours}={theirs}: no family has {ours!r}; {hint}known are {', '.join(known)}"
            )
    if bare.names and bare.taken is not None:
        group = bare.build([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
        there = [word for word in dict.fromkeys((*bare.taken, *group)) if word != "params"]
        for ours, theirs in bare.names.items():
            if theirs.partition(".")[0] not in there:
                raise ValueError(
                    f"names {ours}={theirs}: {bare.title} has no {theirs!r}; it has {', '.join(there)}"
                )


def planned(claims: str = "all", profile: str = "quick") -> tuple[GateLaw, ...]:
    """The laws named by a comma-separated list of ids and tiers, as far as the profile runs them."""
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is not known; choose one of {', '.join(PROFILES)}")
    every = gate_laws()
    affordable = ("exact",) if profile == "quick" else ("exact", "standard", "statistical")
    chosen: dict[str, GateLaw] = {}
    for word in (part.strip() for part in claims.split(",")):
        if word in every:
            chosen[word] = every[word]
        elif word == "all":
            chosen.update({law.id: law for law in every.values() if law.tier in affordable})
        elif word in ("exact", "standard", "statistical"):
            chosen.update({law.id: law for law in every.values() if law.tier == word})
        else:
            close = difflib.get_close_matches(word, every, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(f"unknown law {word!r}; {hint}known are all, exact, {', '.join(every)}")
    return tuple(law for law in every.values() if law.id in chosen)


def judge(
    law: GateLaw,
    subject: Subject,
    *,
    seed: int = 0,
    profile: str = "quick",
    location: Location | None = None,
) -> tuple[tuple[Finding, ...], dict[str, Figure]]:
    """What one law says of a subject, with its figures; an exception of the target is itself a finding."""
    began = time.perf_counter()
    kind: GateProfile = "standard" if profile == "standard" else "quick"
    circumstances = Circumstances(law.id, seed, kind)
    readings = tuple(_readings(law, subject, circumstances))
    seconds = (time.perf_counter() - began) / max(1, len(readings))
    findings: list[Finding] = []
    figures: dict[str, Figure] = {}
    for reading in readings:
        figure = "" if reading.figure is None else f"{law.id}--{len(figures)}"
        if reading.figure is not None:
            figures[figure] = Figure(**{**_fields(reading.figure), "name": figure})
        findings.append(_finding(law, subject, reading, len(readings), seed, seconds, location, figure))
    return tuple(findings), figures


def same_steps(
    subject: Subject,
    reference: Callable[..., Any],
    *,
    args: Mapping[str, Any] | None = None,
    seed: int = 0,
    location: Location | None = None,
    name: str = "",
) -> tuple[Finding, ...]:
    """The same scenarios played by a reference, which gets those of the arguments that it takes."""
    contract = "auto" if subject.contract is None else subject.contract.name
    taken = Subject(reference).taken
    given = {word: value for word, value in (args or {}).items() if taken is None or word in taken}
    other, _ = subject_of(reference, contract=contract, args=given, device=subject.device, name=name)
    request = GateRequest(target=subject.title, seed=seed, device=subject.device)
    ours, theirs = traces(subject, seed), traces(other, seed)
    return tuple(apart(request, REFERENCE.id, ours, theirs, than=other.title, location=location))


def beside(
    watch: Watch,
    subject: Subject,
    found: Sequence[Finding],
    *,
    seed: int = 0,
    location: Location | None = None,
) -> tuple[Finding, ...]:
    """What the target changed in the process beside a law's own business, unless that is found already."""
    law = gate_laws()[SURROUNDINGS]
    if any(finding.claim == law.id and finding.verdict == "violated" for finding in found):
        return ()
    readings = []
    for during, changes in watch.changes.items():
        if changes:
            told = "; ".join(map(str, changes))
            readings.append(
                Reading(group=f"during {during}", verdict="violated", message=told, diagnosis=told)
            )
    # The first is enough: the target does it again under every law.
    return findings_of(law, subject, readings[:1], seed=seed, location=location)


def findings_of(
    law: GateLaw,
    subject: Subject,
    readings: Sequence[Reading],
    *,
    seed: int = 0,
    location: Location | None = None,
) -> tuple[Finding, ...]:
    """Readings that were made elsewhere, as findings of a law."""
    return tuple(_finding(law, subject, r, len(readings), seed, 0.0, location, "") for r in readings)


def _readings(law: GateLaw, subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    reason = law.applies(subject)
    if not reason and subject.contract is not None:
        reason = subject.contract.exceptions.get(law.id, "")
    if reason:
        return [Reading(group="", verdict="skipped", message=reason)]
    try:
        return list(law.check(subject, circumstances))
    except SystemExit as error:
        words = f"the optimizer calls sys.exit({error.code!r}){_frame(error)} instead of raising an error"
        return [Reading(group="exit", verdict="violated", message=words, diagnosis=words)]
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        where = _frame(error)
        return [
            Reading(
                group="exception",
                verdict="error",
                message=words,
                diagnosis=f"the law could not be judged: {words}{where}",
            )
        ]


def _frame(error: BaseException) -> str:
    trace = error.__traceback__
    last = None
    while trace is not None:
        last, trace = trace, trace.tb_next
    return "" if last is None else f" ({last.tb_frame.f_code.co_filename}:{last.tb_lineno})"


def _finding(
    law: GateLaw,
    subject: Subject,
    reading: Reading,
    count: int,
    seed: int,
    seconds: float,
    location: Location | None,
    figure: str,
) -> Finding:
    label = f"{law.id}:{reading.group}" if reading.group else law.id
    contract = "" if subject.contract is None else subject.contract.name
    return Finding(
        id=label,
        claim=law.id,
        kind="exact" if law.tier != "statistical" else "statistical",
        form="exact",
        group=reading.group,
        subject={"target": subject.title, "contract": contract, **reading.subject},
        verdict=reading.verdict,
        measured=reading.measured,
        expected=reading.expected,
        margin=reading.margin,
        detectable=reading.detectable,
        false_fail=0.0,
        false_pass=0.0,
        rivals=reading.rivals,
        n_runs=1,
        n_steps=reading.n_steps,
        seed=seed,
        device=subject.device,
        dtype=reading.dtype,
        seconds=seconds,
        message=reading.message,
        replay="",
        unit=law.id,
        unit_size=count,
        quantity=reading.quantity,
        figure=figure,
        diagnosis=reading.diagnosis,
        snippet=reading.snippet,
        location=location if reading.verdict == "violated" else None,
    )


def _fields(figure: Figure) -> dict[str, Any]:
    names: Sequence[str] = figure.__struct_fields__
    return {name: getattr(figure, name) for name in names}
