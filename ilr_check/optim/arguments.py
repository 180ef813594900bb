"""Parses constructor arguments as they are typed: ``name=value``. This module does not import torch."""

from __future__ import annotations

import ast
from typing import Any


def parse_argument(text: str) -> tuple[str, Any]:
    """Split ``k=v`` into a name and a Python literal, or a string if it is not one. Raises ``ValueError``."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"{text!r} is not an argument; write name=value, such as eps=1e-8")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
