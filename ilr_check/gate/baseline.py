"""A baseline keeps earlier findings in a file and compares them with new ones. Imports no torch.

It keeps the verdict and the sentence of each case, steps, and what the optimizer does in each setting of its
arguments. Steps are compared as shares of themselves, so another machine gives the same numbers. The
comparison shows what a change broke, what it repaired, where a failure stayed but now has another sentence,
and each setting in which the optimizer now behaves in another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ilr_check.evidence import atomic
from ilr_check.evidence.gate import Finding, Location
from ilr_check.evidence.records import VerdictWord
from ilr_check.evidence.verdict_order import worst
from ilr_check.gate.process.noting import noted
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.recorded import Behaviour
from ilr_check.gate.reference.same_behaviour import behaviour_changes
from ilr_check.gate.reference.same_steps import BASELINE, REFERENCE, Traces, apart

SCHEMA = 3
"""Schema 1 kept no cases, only the worst verdict of each law, and schema 2 no behaviour; both are read."""
NOT_KEPT = (BASELINE.id, REFERENCE.id)


class KeptFinding(msgspec.Struct, frozen=True):
    """One case of one law."""

    verdict: str
    sentence: str = ""
    """The diagnosis; empty where the case holds."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """One state of one optimizer."""

    made_by: str = "ilr-check baseline"
    """The first field, by which the file is recognised (``evidence.marks``)."""
    schema: int = SCHEMA
    target: str
    contract: str
    args: tuple[str, ...]
    impl: tuple[str, ...]
    versions: dict[str, str]
    verdicts: dict[str, str]
    """The worst verdict by law."""
    findings: dict[str, KeptFinding] = {}
    """Cases by the id of the finding, which names its law and case."""
    traces: dict[str, list[list[float | None]]]
    """``None`` stands for a number that is not finite, which JSON cannot hold."""
    behaviour: Behaviour = {}


def read_baseline(path: Path, *, renewed: bool = False) -> Baseline | None:
    """Return the kept state, or ``None`` without a file; raises ``ValueError`` for a damaged one.

    A file that is ``renewed`` need not be readable, so a damaged one counts as none.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"cannot read the baseline {path} ({error.strerror or error})") from error
    try:
        found = msgspec.json.decode(raw, type=Baseline)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if renewed:
            return None
        raise ValueError(
            f"the baseline {path} is damaged ({error}); write it again with --update-baseline --force"
        ) from error
    if found.schema > SCHEMA:
        if renewed:
            return None
        raise ValueError(
            f"the baseline {path} has schema {found.schema}, this ilr-check reads up to {SCHEMA}"
        )
    return found


def save_baseline(path: Path, baseline: Baseline, *, force: bool = False) -> None:
    """Replace the file in one step; raises ``UnwritableError``."""
    atomic.write(path, msgspec.json.format(msgspec.json.encode(baseline), indent=1) + b"\n", force=force)


def comparable(before: Baseline, now: Baseline) -> bool:
    """Return whether two states have the same constructor arguments and switches."""
    return sorted(before.args) == sorted(now.args) and sorted(before.impl) == sorted(now.impl)


def baseline_of(
    request: GateRequest,
    contract: str,
    findings: Iterable[Finding],
    traces: Traces,
    versions: dict[str, str],
    behaviour: Behaviour | None = None,
) -> Baseline:
    """Return the part of a judgement that a baseline keeps."""
    kept = [finding for finding in findings if finding.counts and finding.claim not in NOT_KEPT]
    return Baseline(
        target=request.target,
        contract=contract,
        args=_typed(request.options.args),
        impl=_typed(request.options.impl),
        versions=versions,
        verdicts=_by_law(kept),
        findings={
            finding.id: KeptFinding(finding.verdict, "" if finding.verdict == "holds" else finding.diagnosis)
            for finding in kept
        },
        traces={name: [list(row) for row in rows] for name, rows in traces.items()},
        behaviour=behaviour or {},
    )


def compared_with_baseline(
    request: GateRequest,
    contract: str,
    findings: Iterable[Finding],
    traces: Traces,
    versions: dict[str, str],
    location: Location | None,
    *,
    behaviour: Behaviour | None = None,
    survived: bool = True,
    force: bool = False,
) -> tuple[list[Finding], list[str]]:
    """Return what changed since the baseline, and notices about it. The first use saves the file.

    ``force`` lets the baseline replace a file that is none. Raises ``ValueError`` where the two are of
    different arguments.
    """
    path = request.options.baseline
    assert path is not None
    update = request.options.update_baseline
    before = read_baseline(path, renewed=update)
    now = baseline_of(request, contract, findings, traces, versions, behaviour)
    compared = before is not None and (not update or comparable(before, now))
    changed = changes_since(before, now, request, location) if before and compared else []
    if not survived:
        return [], ["the baseline was neither compared nor saved: the target did not survive"]
    repaired = [*repaired_since(before, now), *_settings_told(before, now)] if before and compared else []
    if before is None or update:
        save_baseline(path, now, force=force)
        broken = sum(finding.verdict == "violated" for finding in changed)
        aside = f"{broken} changes accepted" if compared else "nothing to compare with yet"
        return [], [f"the baseline was saved to {path} ({aside})", *repaired]
    return changed, repaired


def changes_since(
    before: Baseline, now: Baseline, request: GateRequest, location: Location | None = None
) -> list[Finding]:
    """Return each change: in behaviour, in the family, and cases that no longer hold.

    A change decides the exit code: whoever keeps a baseline has said that the steps stay as they are, and
    accepts new ones by ``--update-baseline``. With ``--allow-changes`` the laws alone decide.
    Raises ``ValueError`` where the two cannot be compared.
    """
    for name in ("args", "impl"):
        old, new = getattr(before, name), getattr(now, name)
        if sorted(old) != sorted(new):
            raise ValueError(
                f"the baseline was made with {name} {' '.join(old) or 'none'}, this run has "
                f"{' '.join(new) or 'none'}; use the same, or --update-baseline"
            )
    found = apart(request, BASELINE.id, now.traces, before.traces, than="the baseline", location=location)
    if before.behaviour and now.behaviour:
        found += behaviour_changes(
            request, BASELINE.id, now.behaviour, before.behaviour, than="the baseline", location=location
        )

    def changed(group: str, told: str) -> None:
        found.append(noted(request, BASELINE.id, group, "violated", diagnosis=told, location=location))

    if before.contract != now.contract:
        changed(
            "family", f"its family was {before.contract or 'unknown'} and is now {now.contract or 'unknown'}"
        )
    cases = {name: kept for name, kept in before.findings.items() if name in now.findings}
    for name, kept in cases.items():
        new = now.findings[name]
        if kept.verdict == "holds" and new.verdict != "holds":
            why = f": {new.sentence}" if new.sentence else ""
            changed(name, f"{name} held in the baseline and is now {_spoken(new.verdict)}{why}")
        elif kept.verdict == new.verdict == "violated" and kept.sentence != new.sentence:
            changed(name, f"{name} fails in another way: {new.sentence}; the baseline said: {kept.sentence}")
    told_laws = {finding.group.partition(":")[0] for finding in found}
    for law, verdict in before.verdicts.items():
        word = now.verdicts.get(law)
        if verdict == "holds" and word not in (None, "holds") and law not in told_laws:
            changed(law, f"{law} held in the baseline and is now {_spoken(word or '')}")
    appeared = [name for name in now.findings if before.findings and name not in before.findings]
    for name in appeared:
        new = now.findings[name]
        if new.verdict in ("violated", "error") and name not in cases:
            changed(
                name, f"{name} is {_spoken(new.verdict)}, and the baseline does not have it: {new.sentence}"
            )
    if request.options.allow_changes:
        return [msgspec.structs.replace(finding, severity="departure") for finding in found]
    return found


def repaired_since(before: Baseline, now: Baseline) -> list[str]:
    """Return a sentence for each case that failed in the baseline and holds now."""
    return [
        f"repaired since the baseline: {name} ({kept.sentence or _spoken(kept.verdict)})"
        for name, kept in before.findings.items()
        if kept.verdict in ("violated", "error")
        and (new := now.findings.get(name)) is not None
        and new.verdict == "holds"
    ]


def _settings_told(before: Baseline, now: Baseline) -> list[str]:
    """Return a sentence about the settings that only one of the two has."""
    if not (before.behaviour and now.behaviour):
        return []
    kinds = {
        "new settings, which the baseline does not have": now.behaviour.keys() - before.behaviour.keys(),
        "settings of the baseline that are gone": before.behaviour.keys() - now.behaviour.keys(),
    }
    return [f"{words}: {'; '.join(sorted(found))}" for words, found in kinds.items() if found]


def _by_law(findings: Iterable[Finding]) -> dict[str, str]:
    words: dict[str, list[VerdictWord]] = {}
    for finding in findings:
        words.setdefault(finding.claim, []).append(finding.verdict)
    return {law: worst(found) for law, found in words.items()}


def _typed(values: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in values.items())


def _spoken(verdict: str) -> str:
    return verdict.replace("_", " ")
