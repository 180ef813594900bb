"""For sessions inside this one: what they import is imported before, since pytester forgets the rest."""

import importlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    for name in ("session", "verdicts", "hooks", "cases"):
        importlib.import_module(f"ilr_check.plugin.{name}")
    importlib.import_module("ilr_check.claims").catalogue()
    importlib.import_module("ilr_check.optim.contracts").contracts()
