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
    "laws": Word("ID,...", "Laws and tiers; exact is the fast tier. --claims is the same."),
    "args": Word("K=V", "Constructor argument; may be repeated.", "arg"),
    "declare": Word("K=V", "An intended variation of the contract; may be repeated."),
    "names": Word("lr=NAME,...", "The target's own words for our names."),
    "impl": Word("K=V", "Implementation switch, such as foreach=True; may be repeated."),
    "tags": Word("K=V", "How it is driven, such as needs_closure=True; may be repeated.", "tag"),
    "setup": Word("TARGET", "A function that prepares a built optimizer."),
    "reference": Word("TARGET", "Compare its steps with another optimizer's."),
    "baseline": Word("FILE", "The first use saves; later a change is violated."),
    "update_baseline": Word("", "Accept the changes: write the baseline anew."),
    "expected_failures": Word("FILE", 'TOML: "law" or "law:case" = "reason".'),
    "fail_on": Word("SEVERITY", "Exit 1 from this severity on: defect, fragility or departure."),
    "accept_unjudged": Word("", "Exit with 0 although laws that apply could not be judged."),
    "allow_inconclusive": Word("", "Exit with 0 where something stayed open."),
    "profile": Word("NAME", "quick or standard"),
    "seed": Word("N", "Decides random numbers."),
    "device": Word("NAME", "auto, cpu or cuda"),
    "dtype": Word("NAME,...", "Weights it is made for: float64, float32, bfloat16, float16."),
    "time_limit": Word("SECONDS", "CPU time for one law [60; 600 in standard]."),
    "memory_limit": Word("MIB", "For the target."),
}
"""Every option that can be typed, in the order of the help."""
PAIRS = ("args", "declare", "impl", "tags")
"""Options of ``K=V`` words, which may be repeated."""
IN_PYTEST = ("declare", "impl", "tags", "setup", "fail_on", "dtype")
"""Options that pytest offers as ``--ilr-...``, beside those that a session of claims has as well."""


def flag_of(name: str) -> str:
    """Return an option as it is typed, without its dashes."""
    return (WORDS[name].flag or name).replace("_", "-")
