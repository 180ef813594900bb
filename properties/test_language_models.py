"""Claims about language models. Each planned unit is decided once, from independent runs."""

import pytest

from ilr_check.engine import Work
from ilr_check.plugin import cases
from ilr_check.plugin.session import RecordProperty, VerdictSession

pytestmark = pytest.mark.statistical


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("work", cases.units(metafunc.config, "language-models"))


def test_holds(work: Work, ilr_session: VerdictSession, ilr_property: RecordProperty) -> None:
    ilr_session.judge(work, ilr_property)
