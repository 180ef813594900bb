"""Return what a session judges as parameters of a test in the property files."""

from __future__ import annotations

from typing import Any

import pytest

from ilr_check.plugin.session import session_of


def units(config: pytest.Config, chapter: str) -> list[Any]:
    """Return the planned units of the chosen statistical claims of a chapter, one case each.

    Trainings take minutes, so they have the mark ``nightly``.
    """
    cases = [
        pytest.param(
            work, id=work.unit.title, marks=(pytest.mark.claim(work.unit.claim), pytest.mark.nightly)
        )
        for work in session_of(config).units_of(chapter)
    ]
    return cases or [_none(config, chapter, 1)]


def laws(config: pytest.Config) -> list[Any]:
    """Return the chosen exact laws, one case each."""
    cases = [
        pytest.param(law, id=law.text.id, marks=pytest.mark.claim(law.text.id))
        for law in session_of(config).laws
    ]
    return cases or [_none(config, "exact", 1)]


def examples(config: pytest.Config) -> list[Any]:
    """Return the examples on real data of the chosen exact laws: law, title, example."""
    session = session_of(config)
    cases = [
        pytest.param(law, title, example, id=f"{law.text.id}: {title}", marks=pytest.mark.claim(law.text.id))
        for law in session.laws
        for title, example in law.real(session.engine_settings.profile)
    ]
    return cases or [_none(config, "exact", 3)]


def gate_laws(config: pytest.Config) -> list[Any]:
    """Return the gate's laws about the session's optimizer, one case each."""
    gate = session_of(config).gate
    if gate is None:
        skip = pytest.mark.skip(reason="no optimizer was named; add --ilr-optimizer TARGET")
        return [pytest.param(None, id="none", marks=skip)]
    return [pytest.param(law, id=law.id, marks=pytest.mark.claim(law.id)) for law in gate.laws]


def _none(config: pytest.Config, chapter: str, width: int) -> Any:
    claims = session_of(config).settings.claims
    skip = pytest.mark.skip(
        reason=f"--ilr-claims {claims} has no {chapter} claim; --ilr-claims {chapter} judges them all"
    )
    return pytest.param(*[None] * width, id="none", marks=skip)
