"""Function-space claims. Each planned unit is decided once, from independent runs."""

import pytest

from ilr_check.engine import Work
from ilr_check.pytest_plugin import session_of
from ilr_check.pytest_session import RecordProperty, VerdictSession

pytestmark = pytest.mark.statistical


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    works = session_of(metafunc.config).units_of("function-space")
    marked = [
        pytest.param(work, id=work.unit.title, marks=pytest.mark.claim(work.unit.claim)) for work in works
    ]
    metafunc.parametrize("work", marked)


def test_holds(work: Work, ilr_session: VerdictSession, ilr_property: RecordProperty) -> None:
    ilr_session.judge(work, ilr_property)
