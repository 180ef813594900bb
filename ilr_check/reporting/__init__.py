"""Reporting: one reporter a file, each fed by records or a run folder, none by the engine's insides."""

from ilr_check.reporting.html import write_report
from ilr_check.reporting.terminal import TerminalReporter
from ilr_check.reporting.verdicts import exit_code

__all__ = ["TerminalReporter", "exit_code", "write_report"]
