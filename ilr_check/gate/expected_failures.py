"""Failures that the user declared: a TOML file of ``"law-id" = "reason"``. Imports no torch."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ilr_check.evidence.gate import Finding


def read_expected(path: Path) -> dict[str, str]:
    """Law ids and reasons; raises ``ValueError`` with the file and the mend."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror or error}); name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not valid TOML: {error}; write "law-id" = "reason"') from error
    for name, reason in found.items():
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(
                f'{path}: {name} = {reason!r} gives no reason; write "{name}" = "why it may fail"'
            )
    return found


def demand_known(expected: Mapping[str, str], known: Collection[str]) -> None:
    """Raise ``ValueError`` for an id that matches no law: a typing error would excuse nothing."""
    for name in expected:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"expected failure {name!r} is no law; {hint}known are {', '.join(sorted(known))}"
            )


def with_expected(findings: Iterable[Finding], expected: Mapping[str, str]) -> tuple[Finding, ...]:
    """Declared violations become ``expected_failure``; a declared law that holds, ``unexpected_pass``."""
    found = list(findings)
    for name, reason in expected.items():
        places = [i for i, finding in enumerate(found) if finding.claim == name]
        broken = [i for i in places if found[i].verdict == "violated"]
        for i in broken:
            told = f"expected: {reason}\n{found[i].message}"
            found[i] = msgspec.structs.replace(found[i], verdict="expected_failure", message=told)
        holding = _first_if_all_hold(found, places)
        if holding is not None:
            told = f"{name} holds, but was declared to fail: {reason}; take it out of the list"
            found[holding] = msgspec.structs.replace(
                found[holding], verdict="unexpected_pass", message=told, diagnosis=told
            )
    return tuple(found)


def _first_if_all_hold(found: Sequence[Finding], places: Sequence[int]) -> int | None:
    judged = [i for i in places if found[i].verdict != "skipped" and found[i].counts]
    return judged[0] if judged and all(found[i].verdict == "holds" for i in judged) else None
