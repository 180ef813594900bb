"""The words of the gate's options, for the command line and for pytest. This module imports nothing heavy."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """The typed form of an option: the form of its value, and one line of help."""

    metavar: str
    help: str
    flag: str = ""
    """The flag, where it is not the name of the option with hyphens."""


WORDS: dict[str, Word] = {
    "contract": Word("NAME|auto|FILE.py:NAME", "The family, or a contract of your own."),
    "laws": Word(
        "ID,...", "Law ids and tiers, separated by commas; exact is the fast tier. --claims is the same."
    ),
    "args": Word("K=V", "Constructor argument; may be repeated.", "arg"),
    "declare": Word("K=V", "An intended variation of the contract; may be repeated."),
    "names": Word(
        "lr=NAME,...", "Argument names of the optimizer that differ from torch's, such as lr=alpha."
    ),
    "impl": Word("K=V", "Implementation switch, such as foreach=True; may be repeated."),
    "tags": Word("K=V", "How to drive the optimizer, such as needs_closure=True; may be repeated.", "tag"),
    "setup": Word("TARGET", "A function that prepares the optimizer after it is built."),
    "reference": Word("TARGET", "Compare its steps with another optimizer's."),
    "baseline": Word("FILE", "The first run saves this file; later runs report every change."),
    "update_baseline": Word("", "Accept the changes and write the baseline again."),
    "allow_changes": Word("", "Show the changes since the baseline, and let the laws alone decide."),
    "expected_failures": Word("FILE", 'A TOML file of known failures: "law" or "law:case" = "reason".'),
    "fail_on": Word(
        "SEVERITY", "The mildest severity that makes the exit code 1: defect, fragility or departure."
    ),
    "accept_unjudged": Word("", "Exit with 0 although laws that apply could not be judged."),
    "allow_inconclusive": Word("", "Exit with 0 even if a verdict is inconclusive."),
    "profile": Word("NAME", "The amount of work: quick or standard."),
    "seed": Word("N", "Seed of all random numbers."),
    "device": Word("NAME", "Device: auto, cpu or cuda."),
    "dtype": Word(
        "NAME,...", "Dtypes of weights that the optimizer supports: float64, float32, bfloat16, float16."
    ),
    "time_limit": Word("SECONDS", "CPU time for one law [60; 600 in standard]."),
    "memory_limit": Word("MIB", "Memory limit of the optimizer's processes, in MiB."),
}
"""Every option that can be typed, in the order of the help."""
PAIRS = ("args", "declare", "impl", "tags")
"""Options of ``K=V`` words, which may be repeated."""
IN_PYTEST = ("declare", "impl", "tags", "setup", "fail_on", "dtype")
"""Options that pytest offers as ``--ilr-...``, beside those that a session of claims has as well."""


def flag_of(name: str) -> str:
    """Return an option as it is typed, without its dashes."""
    return (WORDS[name].flag or name).replace("_", "-")
