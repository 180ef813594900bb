"""Tells the plugin that this session judges claims, so that it checks the settings and shows them in the
header."""

import pytest

from ilr_check.plugin import hooks


def pytest_configure(config: pytest.Config) -> None:
    hooks.enter(config)
