"""Writes docs/severity.md from the laws: ``python tests/unit/gate/severity_page.py``."""

from __future__ import annotations

from pathlib import Path

from ilr_check.gate.laws import gate_laws
from ilr_check.gate.words.explanation import CONVENTIONS, CONVENTIONS_OF_DECAY

PAGE = Path(__file__).parents[3] / "docs" / "severity.md"
HEAD = """# How grave is a violation?

Every finding of `ilr-check gate` has a severity.

- **defect**: plain training breaks the promise. The command exits with 1.
- **fragility**: a legal but unusual use goes wrong, such as copying the optimizer or an empty tensor.
- **departure**: the optimizer follows a documented convention that differs from the contract. The finding
  proposes the `--declare` that settles it.

`--fail-on defect` is the default. `--fail-on fragility` and `--fail-on departure` are stricter. Whatever the
choice is, every finding is shown, the gravest first. The verdict of the run follows the same rule.

A law that is not in this table gives defects only, with two exceptions that the numbers decide. A difference
that an arithmetic in float32 explains is a fragility. And where no contract was named, what no known mistake
explains is a fragility if the constructor has numbers that the family does not know, and so is a late bias
correction if no class has the name of the family: the optimizer may be another algorithm. A case is named by
how its group begins.
This page is made from the laws by `python tests/unit/gate/severity_page.py`, and a test compares the two.

| law | case | severity | why |
| --- | --- | --- | --- |
"""
TAIL = """
## Departures

A departure is found by measurement. Where the steps are exactly, within rounding, those of another convention
of the table below, each violated law is judged again under that declaration. The cases that then hold are
departures. What still fails is a defect of its own. A missing bias correction is a defect, because it changes
the first steps by up to 1 / sqrt(1 - beta2); declare it if it is meant.

"""


def page() -> str:
    """The text of the page."""
    rows = [
        f"| `{law.id}` | {case or 'every case'} | {severity} | {why} |"
        for law in gate_laws().values()
        for case, (severity, why) in (
            *law.milder.items(),
            *((f"{case}, by an exception", ("fragility", why)) for case, why in law.refusable.items()),
        )
    ]
    conventions = ", ".join(f"`{name}`" for name in (*CONVENTIONS, *CONVENTIONS_OF_DECAY))
    return HEAD + "\n".join(rows) + "\n" + TAIL + f"Declarations that count as conventions: {conventions}.\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
