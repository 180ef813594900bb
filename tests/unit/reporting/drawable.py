"""Short ways to make a figure for the tests of drawings."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ilr_check.evidence import Figure, Series

X = np.array([1.0, 2.0, 3.0])
KINDS = ("line", "band", "points", "interval", "histogram")
VALUES = st.lists(st.floats(), max_size=8).map(np.array)


def figure(*series: Series, **layout: Any) -> Figure:
    return Figure(**{"name": "f", "title": "t", "x_label": "x", "y_label": "y", "series": series} | layout)


def series(kind: Any = "line", role: Any = "measured", name: str = "s", **arrays: Any) -> Series:
    return Series(
        name=name, kind=kind, role=role, **({"x": X, "y": X, "low": X - 0.5, "high": X + 0.5} | arrays)
    )
