"""Numbers and verdicts in words, and colours that can be read."""

from __future__ import annotations

import math
import re
from importlib import resources
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import record

from ilr_check.evidence import Margin, Measured, verdict_order
from ilr_check.evidence.records import VerdictWord
from ilr_check.reporting import numbers, verdicts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (0.0, "0"),
        (-1.0, "-1"),
        (0.316227766, "0.3162"),
        (8.1e6, "8.1e6"),
        (1.5e-9, "1.5e-9"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Measured(0.31841, 0.31213, 0.32487), "0.3184 [0.3121, 0.3249]"),
        (Measured(1.0000123, 1.0000111, 1.0000135), "1.0000123 [1.0000111, 1.0000135]"),
        (Measured(0.25), "0.25"),
        (Measured(None, None, 2.0), "– [–, 2]"),
    ],
)
def test_measured_shows_the_digits_that_its_interval_supports(result: Measured, text: str) -> None:
    assert numbers.measured(result) == text


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Margin(), "–"),
        (Margin(None, 1.0), "at most 1"),
        (Margin(0.5), "at least 0.5"),
        (Margin(0.9, 1.1), "[0.9, 1.1]"),
    ],
)
def test_margins(limits: Margin, text: str) -> None:
    assert numbers.margin(limits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.01, "1 %"), (6.25e-5, "6.3e-5"), (math.nan, "NaN")]
)
def test_rates(value: float, text: str) -> None:
    assert numbers.rate(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.41, "0.4 s"), (59.6, "1 min 00 s"), (187.4, "3 min 07 s"), (7380, "2 h 03 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


@given(st.tuples(*[st.none() | st.floats()] * 3))
def test_any_number_can_be_written(values: tuple[float | None, float | None, float | None]) -> None:
    assert numbers.measured(Measured(*values))
    assert numbers.margin(Margin(*values[:2]))


def test_every_verdict_has_its_place_and_a_symbol_of_its_own() -> None:
    words = {*get_args(VerdictWord), "not run"}
    assert set(verdict_order.WORST_FIRST) == set(verdicts.SYMBOLS) == set(verdicts.ASCII_SYMBOLS) == words
    assert len(set(verdicts.SYMBOLS.values())) == len(words)
    assert all(symbol.isascii() for symbol in verdicts.ASCII_SYMBOLS.values())


@pytest.mark.parametrize(
    ("found", "worst"),
    [
        (["holds", "skipped"], "holds"),
        (["holds", "inconclusive", "violated"], "violated"),
        (["skipped"], "skipped"),
        ([], "not run"),
    ],
)
def test_a_claim_is_as_good_as_its_worst_record(found: list[str], worst: str) -> None:
    assert verdicts.worst(record(str(i), "norm-recursion", word) for i, word in enumerate(found)) == worst


CSS = (resources.files("ilr_check.reporting") / "templates" / "report.css").read_text("utf-8")
PALETTE = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", CSS))
TEXT_ON = [
    *((ink, ground) for ink in ("ink", "muted", "link") for ground in ("paper", "panel")),
    *((word, f"{word}-bg") for word in ("holds", "violated", "inconclusive", "error", "skipped")),
    *((word, "paper") for word in ("holds", "violated", "inconclusive", "error", "skipped")),
    *(("muted", f"{word}-bg") for word in ("holds", "violated", "inconclusive", "error", "skipped")),
]
MARKS = ("measured-0", "predicted-0", "rival-0", "margin-0", "control-0", "reference-0")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(name: str, ground: str, scheme: int) -> float:
    pair = sorted(luminance(PALETTE[key].split(", ")[scheme]) for key in (name, ground))
    return (pair[1] + 0.05) / (pair[0] + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("name", "ground"), TEXT_ON)
def test_text_can_be_read(name: str, ground: str, scheme: int) -> None:
    assert contrast(name, ground, scheme) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", MARKS)
def test_curves_stand_out_from_the_paper(name: str, scheme: int) -> None:
    assert contrast(name, "paper", scheme) >= 3
