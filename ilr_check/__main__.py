"""Runs the command line for ``python -m ilr_check``."""

from ilr_check.cli import main

main()
