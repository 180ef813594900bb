"""Reporting: one reporter a file, each fed by records or a run folder, none by the engine's insides."""

from ilr_check.reporting.html import write_report
from ilr_check.reporting.terminal import TerminalReporter

__all__ = ["TerminalReporter", "write_report"]
