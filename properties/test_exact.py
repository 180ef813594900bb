"""Exact claims: algebra against a derived rounding bound, searched by Hypothesis and checked on real data."""

from typing import Any

import pytest

from ilr_check.claims.exact_law import ExactLaw
from ilr_check.pytest_plugin import session_of
from ilr_check.pytest_session import RecordProperty, VerdictSession

pytestmark = pytest.mark.exact


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    session = session_of(metafunc.config)
    if metafunc.function is test_holds_on_generated_nets:
        cases = [(law.text.id, (law,)) for law in session.laws]
    else:
        cases = [
            (f"{law.text.id}: {title}", (law, title, example))
            for law in session.laws
            for title, example in law.real(session.engine_settings.profile)
        ]
    metafunc.parametrize(
        ("law", "title", "example")[: len(cases[0][1])],
        [pytest.param(*case, id=name, marks=pytest.mark.claim(case[0].text.id)) for name, case in cases],
    )


def test_holds_on_generated_nets(
    law: ExactLaw[Any], ilr_session: VerdictSession, ilr_property: RecordProperty
) -> None:
    ilr_session.hunt(law, ilr_property)


def test_holds_on_real_data(
    law: ExactLaw[Any],
    title: str,
    example: Any,
    ilr_session: VerdictSession,
    ilr_property: RecordProperty,
) -> None:
    ilr_session.check(law, title, example, ilr_property)
