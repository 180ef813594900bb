"""The exact laws of the gate for the optimizer of --ilr-optimizer, under its contract (--ilr-contract)."""

import pytest

from ilr_check.gate.law import GateLaw
from ilr_check.plugin import cases
from ilr_check.plugin.session import RecordProperty, VerdictSession

pytestmark = pytest.mark.exact


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("law", cases.gate_laws(metafunc.config))


def test_keeps_its_contract(law: GateLaw, ilr_session: VerdictSession, ilr_property: RecordProperty) -> None:
    ilr_session.pass_gate(law, ilr_property)
