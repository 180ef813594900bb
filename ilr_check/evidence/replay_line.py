"""Builds the command that repeats a judgement. Records and reports print it with every failure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec


def replay_line(spec: Mapping[str, Any]) -> str:
    """Return the command that judges a spec again. The command needs neither a run folder nor Hypothesis.

    ``spec`` has a ``claim`` and either an ``example``, or a ``subject`` with its ``unit_seed``. The ``world``
    of a spec becomes an option, because a replay imports no code that is not named on its command line.
    """
    plain = {name: value for name, value in spec.items() if name != "world"}
    line = f"ilr-check replay {shlex.quote(msgspec.json.encode(plain).decode())}"
    return f"{line} --world {shlex.quote(spec['world'])}" if spec.get("world") else line
