"""Failures that the user declared: of a law, or of one case of it, with the reason. Imports no torch.

A TOML file (or a mapping) names each as ``"law"`` or ``"law:case"``, the id of a finding. Its value is the
reason, or ``{reason = "...", tolerance = 1e-6}``: a violation that measures more than that stays one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ilr_check.evidence.gate import Finding
from ilr_check.spelling import did_you_mean

MERGED = {"implementations": "switches", "group-settings": "alone"}
"""Laws that are part of another one now. The old id of a law is taken for the new one."""
FORM = 'write "law-id" = "reason", or "law-id:case" = {reason = "...", tolerance = 1e-6}'


class ExpectedFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An expected failure: its reason, and the largest measured number that it excuses."""

    reason: str
    tolerance: float | None = None

    def excuses(self, finding: Finding) -> bool:
        """Return whether this violation is no worse than the declared one."""
        if self.tolerance is None:
            return True
        value = finding.measured.value
        return value is not None and abs(value) <= self.tolerance


def read_expected(given: Path | str | Mapping[str, Any] | None) -> dict[str, ExpectedFailure]:
    """Return the declared failures by id; raises ``ValueError`` with the file and the fix."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {_renamed(name): _declared("expected_failures", name, value) for name, value in given.items()}
    path = Path(given)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror or error}); name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}; {FORM}") from error
    return {_renamed(name): _declared(str(path), name, value) for name, value in found.items()}


def _renamed(name: str) -> str:
    """Return the id of a law as it is today; raises ``ValueError`` for a case of a law that was merged."""
    law, colon, _ = name.partition(":")
    if law in MERGED and colon:
        raise ValueError(
            f"expected failure {name!r}: {law} is part of the law {MERGED[law]!r} now, and its cases have "
            f"other names; judge once and copy the id that the terminal prints"
        )
    return MERGED.get(name, name)


def _declared(where: str, name: str, value: Any) -> ExpectedFailure:
    if isinstance(value, ExpectedFailure):
        return value
    if isinstance(value, str):
        value = {"reason": value}
    try:
        found = msgspec.convert(value, ExpectedFailure)
    except msgspec.ValidationError:
        found = None
    if found is None or not found.reason.strip():
        raise ValueError(
            f'{where}: {name} = {_plain(value)} gives no reason; write "{name}" = "why it may fail"'
        )
    return found


def _plain(value: Any) -> str:
    return repr(value["reason"]) if isinstance(value, dict) and set(value) == {"reason"} else repr(value)


def law_of(name: str) -> str:
    """Return the law of an id; what stands after the first colon is its case."""
    return name.partition(":")[0]


def demand_known(expected: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise ``ValueError`` for an id that matches no law: a typing error would excuse nothing."""
    for name in expected:
        law = law_of(name)
        if law not in known:
            hint = did_you_mean(law, known)
            raise ValueError(
                f"expected failure {law!r} is no law; {hint}known are {', '.join(sorted(known))}"
            )


def with_expected(
    findings: Iterable[Finding], expected: Mapping[str, ExpectedFailure]
) -> tuple[Finding, ...]:
    """Mark declared violations ``expected_failure``, and declared cases that hold ``unexpected_pass``.

    Raises ``ValueError`` for a case that its law, which was judged, does not have.
    """
    found = list(findings)
    for name, declared in expected.items():
        places = [i for i, finding in enumerate(found) if name in (finding.claim, finding.id)]
        if not places:
            _demand_case(name, found)
        for i in places:
            if found[i].verdict == "violated" and declared.excuses(found[i]):
                told = f"expected: {declared.reason}\n{found[i].message}"
                found[i] = msgspec.structs.replace(found[i], verdict="expected_failure", message=told)
        holding = _first_if_all_hold(found, places)
        if holding is not None:
            told = f"{name} holds, but was declared to fail: {declared.reason}; take it out of the list"
            found[holding] = msgspec.structs.replace(
                found[holding], verdict="unexpected_pass", message=told, diagnosis=told
            )
    return tuple(found)


def _demand_case(name: str, found: Sequence[Finding]) -> None:
    cases = [finding.id for finding in found if finding.claim == law_of(name) and finding.group]
    if ":" in name and cases:
        hint = did_you_mean(name, cases)
        raise ValueError(f"expected failure {name!r} is no case of its law; {hint}it has {', '.join(cases)}")


def _first_if_all_hold(found: Sequence[Finding], places: Sequence[int]) -> int | None:
    judged = [i for i in places if found[i].verdict != "skipped" and found[i].counts]
    return judged[0] if judged and all(found[i].verdict == "holds" for i in judged) else None
