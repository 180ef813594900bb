"""What the gate found the last time: kept in a file, and compared by law. Imports no torch.

Kept are verdicts and steps. Steps are shares of themselves, so another machine gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from ilr_check.evidence import atomic
from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate.process.noting import noted
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.reference.same_steps import BASELINE, REFERENCE, apart

SCHEMA = 1
NOT_KEPT = (BASELINE.id, REFERENCE.id)


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
    traces: dict[str, list[list[float]]]


def read_baseline(path: Path, *, renewed: bool = False) -> Baseline | None:
    """The kept state, ``None`` where there is no file; raises ``ValueError`` for one that cannot be used.

    A file that is ``renewed`` needs not be readable, so a damaged one counts as none.
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
    """Whether two states are of the same constructor arguments and switches."""
    return sorted(before.args) == sorted(now.args) and sorted(before.impl) == sorted(now.impl)


def baseline_of(
    request: GateRequest,
    contract: str,
    findings: Iterable[Finding],
    traces: dict[str, list[list[float]]],
    versions: dict[str, str],
) -> Baseline:
    """What is to be kept of a judgement."""
    return Baseline(
        target=request.target,
        contract=contract,
        args=request.args,
        impl=request.impl,
        versions=versions,
        verdicts=_by_law(findings),
        traces=traces,
    )


def changes_since(
    before: Baseline, now: Baseline, request: GateRequest, location: Location | None = None
) -> list[Finding]:
    """What differs from the baseline, by law: steps, the family, and laws that no longer hold.

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
    if before.contract != now.contract:
        told = f"its family was {before.contract or 'unknown'} and is now {now.contract or 'unknown'}"
        found.append(noted(request, BASELINE.id, "family", "violated", diagnosis=told, location=location))
    for law, verdict in before.verdicts.items():
        word = now.verdicts.get(law)
        if verdict == "holds" and word not in (None, "holds"):
            told = f"{law} held in the baseline and is now {word}"
            found.append(noted(request, BASELINE.id, law, "violated", diagnosis=told, location=location))
    return found


ORDER = ("violated", "unexpected_pass", "error", "inconclusive", "expected_failure", "holds", "skipped")


def _by_law(findings: Iterable[Finding]) -> dict[str, str]:
    words: dict[str, list[str]] = {}
    for finding in findings:
        if finding.counts and finding.claim not in NOT_KEPT:
            words.setdefault(finding.claim, []).append(finding.verdict)
    return {law: min(found, key=ORDER.index) for law, found in words.items()}
