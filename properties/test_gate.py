"""The exact laws of the gate for the optimizer of --ilr-optimizer, under its contract (--ilr-contract)."""

import pytest

from ilr_check.gate.law import GateLaw
from ilr_check.pytest_plugin import session_of
from ilr_check.pytest_session import RecordProperty, VerdictSession

pytestmark = pytest.mark.exact


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    gate = session_of(metafunc.config).gate
    laws = () if gate is None else gate.laws
    marked = [pytest.param(law, id=law.id, marks=pytest.mark.claim(law.id)) for law in laws]
    metafunc.parametrize("law", marked)


def test_keeps_its_contract(law: GateLaw, ilr_session: VerdictSession, ilr_property: RecordProperty) -> None:
    ilr_session.pass_gate(law, ilr_property)
