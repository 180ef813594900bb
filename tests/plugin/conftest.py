"""Imports modules before the inner sessions of pytester start, because pytester unloads every module that
they import."""

import importlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    for name in ("session", "verdicts", "hooks", "cases"):
        importlib.import_module(f"ilr_check.plugin.{name}")
    importlib.import_module("torch._inductor.test_operators")  # torch lets it register itself only once
    importlib.import_module("ilr_check.claims").catalogue()
    importlib.import_module("ilr_check.optim.contracts").contracts()
