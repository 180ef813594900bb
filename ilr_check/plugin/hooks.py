"""The hooks of a session that judges claims: the header, the workers of pytest-xdist, and the report."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ilr_check.plugin.settings import settings_of

VERDICTS = pytest.StashKey[Path]()
"""Each process of a session leaves its verdicts in this folder, one run folder a process."""
NOTICE = pytest.StashKey[str]()
"""One sentence says whether the report was written and where."""


def enter(config: pytest.Config) -> None:
    """Add these hooks to a session, once; raises ``pytest.UsageError`` for settings that cannot be used."""
    here = sys.modules[__name__]
    if config.pluginmanager.is_registered(here):
        return
    if settings_of(config).report is not None:
        handed = getattr(config, "workerinput", {}).get("ilr_verdicts")
        config.stash[VERDICTS] = Path(handed or tempfile.mkdtemp(prefix="ilr-check-"))
    config.pluginmanager.register(here)


def pytest_report_header(config: pytest.Config) -> str:
    """Show the effective settings."""
    return f"ilr-check: {settings_of(config)}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where to leave its verdicts."""
    if VERDICTS in node.config.stash:
        node.workerinput["ilr_verdicts"] = str(node.config.stash[VERDICTS])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, in the process that leads the session."""
    config = session.config
    if VERDICTS in config.stash and not hasattr(config, "workerinput"):
        from ilr_check.plugin.verdicts import write_session_report

        config.stash[NOTICE] = write_session_report(config.stash[VERDICTS], settings_of(config))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the report is."""
    if NOTICE in config.stash:
        terminalreporter.write_line(f"ilr-check: {config.stash[NOTICE]}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was collected for the report."""
    if VERDICTS in config.stash and not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[VERDICTS], ignore_errors=True)
