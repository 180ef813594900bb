"""Run a snippet before it is shown, so that every snippet prints the number in its finding."""

from __future__ import annotations

from typing import Any

import torch

from ilr_check.gate.subject import Subject

IMPORTS = ("from ", "make = ")
RUNPY = " = __import__('runpy')"


def reproduces(snippet: str, subject: Subject, measured: float) -> bool:
    """Return whether the lines of a snippet print exactly this number.

    The line that imports the optimizer is not run again: its module is loaded already, and may be gone.
    """
    lines = [line for line in snippet.splitlines() if not line.startswith(IMPORTS) and RUNPY not in line]
    printed: list[Any] = []
    name = subject.title.rpartition(":")[2]
    names: dict[str, Any] = {"print": printed.append, "make": subject.factory}
    if name.isidentifier():
        names[name] = subject.factory
    before = torch.get_default_dtype()
    try:
        exec("\n".join(lines), names)
    except Exception:  # the optimizer's own, or a setting that only the gate can write
        return False
    finally:
        torch.set_default_dtype(before)
    return len(printed) == 1 and (
        printed[0] == measured or (printed[0] != printed[0] and measured != measured)
    )
