"""Judging claims is what this session is for: its settings are checked, and the header shows them."""

import pytest

from ilr_check.plugin import hooks


def pytest_configure(config: pytest.Config) -> None:
    hooks.enter(config)
