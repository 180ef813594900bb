"""Exact claims: algebra against a derived rounding bound, searched by Hypothesis and checked on real data."""

from typing import Any

import pytest

from ilr_check.claims.exact_law import ExactLaw
from ilr_check.plugin import cases
from ilr_check.plugin.session import RecordProperty, VerdictSession

pytestmark = pytest.mark.exact


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_holds_on_generated_nets:
        metafunc.parametrize("law", cases.laws(metafunc.config))
    else:
        metafunc.parametrize(("law", "title", "example"), cases.examples(metafunc.config))


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
