"""Summaries count how a statement holds, and say what the paper's wording comes to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ilr_check.evidence import Margin, Measured, Record
from ilr_check.reporting import verdicts
from ilr_check.reporting.literal import raw_statements


def record(**fields: Any) -> Record:
    plain = Record(
        id="sqrt-recovery.0.0",
        claim="sqrt-recovery",
        kind="statistical",
        form="transfer",
        group="digits",
        subject={},
        verdict="holds",
        measured=Measured(value=0.01, low=0.0, high=0.02),
        expected=0.0,
        margin=Margin(low=-0.1, high=0.1),
        detectable=0.1,
        false_fail=1e-5,
        false_pass=1e-2,
        rivals=(),
        n_runs=64,
        n_steps=10,
        seed=0,
        device="cpu",
        dtype="float32",
        seconds=1.0,
        message="",
        replay="",
        unit="sqrt-recovery-0",
        unit_size=1,
    )
    return msgspec.structs.replace(plain, **fields)


def test_agreement_deviation_inequality_and_algebra_are_counted_apart() -> None:
    found = [
        record(agreement="agrees"),
        record(agreement="agrees"),
        record(agreement="deviates within the margin"),
        record(agreement="inequality"),
        record(form="identity"),
        record(verdict="violated"),
    ]
    assert verdicts.grades(found) == (
        "2 agree with theory, 1 deviates from it within the margin, 1 is an inequality, "
        "1 is algebra, which judges the trainer; if every theory were wrong, at most 0.05 of them would be "
        "false on average"
    )


def test_a_run_of_algebra_alone_has_no_grades() -> None:
    assert verdicts.grades([record(form="exact"), record(form="identity")]) == ""


@pytest.mark.parametrize("skipped", [True, False])
def test_the_wording_of_the_paper_is_told_with_its_farthest_number(skipped: bool) -> None:
    raw = record(
        form="raw",
        verdict="skipped" if skipped else "violated",
        counts=False,
        measured=Measured(value=0.275),
        expected=10**-0.5,
        quantity="effective LR at the end / before the change",
    )
    words, misses = raw_statements([raw, record()])
    assert words == (
        ""
        if skipped
        else "effective LR at the end / before the change is 0.28, where the paper says 0.316; "
        "1 of 1 measurements misses that value."
    )
    assert misses is not skipped


def literal(value: float, **fields: Any) -> Record:
    interval = Measured(value=value, low=value - 0.01, high=value + 0.01)
    about = {"measured": interval, "expected": 0.316, "quantity": "ratio"} | fields
    return record(form="raw", verdict="skipped", counts=False, **about)


def test_a_quantity_is_told_by_its_range_and_the_farthest_comes_first() -> None:
    near = [literal(0.99, quantity="other", expected=1.0), literal(1.05, quantity="other", expected=1.0)]
    words, misses = raw_statements([*near, literal(0.14), literal(0.28), literal(0.32)])
    assert words == (
        "ratio is 0.14 to 0.32, where the paper says 0.316; 2 of 3 measurements miss that value. "
        "Of the other literal statements, 1 of 2 measurements misses theirs."
    )
    assert misses


def test_the_paper_taken_literally_may_hold() -> None:
    words, misses = raw_statements([literal(0.32), record(form="raw", counts=False, expected=None)])
    assert words.endswith("0 of 1 measurements miss that value.")
    assert not misses
