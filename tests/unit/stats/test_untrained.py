"""A design that is too weak as planned ends before any run is trained."""

from __future__ import annotations

import math

import pytest

from ilr_check.stats import CurveEquivalence, MeanEquivalence, examine
from ilr_check.stats.design import Design

COMMON = {"estimand": "x", "margin": (-0.05, 0.05), "margin_reason": "test", "false_fail": 1e-4}
WEAK = {
    "spread too large": MeanEquivalence(looks=(32, 64), sd=0.5, **COMMON),  # type: ignore[arg-type]
    "too few runs": MeanEquivalence(looks=(8,), sd=0.01, **COMMON),  # type: ignore[arg-type]
    "must detect what it cannot": MeanEquivalence(looks=(32,), sd=0.05, must_detect=0.051, **COMMON),  # type: ignore[arg-type]
    "curve": CurveEquivalence(points=20, looks=(32,), sd=0.2, **COMMON),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("design", WEAK.values(), ids=WEAK.keys())
def test_nothing_is_drawn_for_a_design_that_is_too_weak(design: Design) -> None:
    def draw(n: int) -> None:
        raise AssertionError(f"{n} runs were trained")

    examination = examine(design, draw)
    assert (examination.decision.verdict, examination.runs_used) == ("inconclusive", 0)
    assert examination.decision.notes == (design.weakness(),)
    assert math.isnan(examination.decision.estimate)
