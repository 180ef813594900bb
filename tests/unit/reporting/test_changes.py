"""Two runs compared: changed verdicts first, then numbers that moved by more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_claims import claim_texts
from synthetic_records import HOSTILE, record

from ilr_check.evidence import Manifest, Margin, Measured, Record, RunFolder
from ilr_check.reporting.changes import Changes, changes
from ilr_check.reporting.html import render


def law(name: str, value: float, verdict: Any = "holds", **more: Any) -> Record:
    about: dict[str, Any] = {
        "group": name,
        "measured": Measured(value, value - 0.01, value + 0.01),
        "expected": 0.0,
        "margin": Margin(-0.1, 0.1),
    }
    return record(f"{name}-{value}", "sqrt-recovery", verdict, **(about | more))


def folder(path: Path, *records: Record) -> RunFolder:
    made = RunFolder.create(path, Manifest(claims=claim_texts(), status="complete", created="yesterday"))
    made.append(records)
    return made


def compared(path: Path, before: list[Record], after: list[Record]) -> Changes:
    return changes(folder(path / "before", *before), folder(path / "after", *after))


def test_changed_verdicts_come_first_and_chance_is_no_change(tmp_path: Path) -> None:
    before = [law("same", 0.01), law("moved", 0.0), law("broken", 0.02), law("gone", 0.0)]
    after = [law("same", 0.02), law("moved", 0.08), law("broken", 0.3, "violated"), law("new", 0.0)]
    found = compared(tmp_path, before, after)
    assert [pair.after.group for pair in found.changed] == ["broken", "moved"]
    assert [pair.after.group for pair in found.farthest] == ["same"]
    assert [r.group for r in found.gone] == ["gone"]
    assert [r.group for r in found.new] == ["new"]
    assert found.worse
    assert "1 verdict changed, and 1 number moved" in found.sentence


def test_a_significant_move_that_nobody_would_see_is_no_change(tmp_path: Path) -> None:
    tight = {"measured": Measured(0.01, 0.0099, 0.0101)}, {"measured": Measured(0.02, 0.0199, 0.0201)}
    found = compared(tmp_path, [law("a", 0.01, **tight[0])], [law("a", 0.02, **tight[1])])
    assert found.changed == ()
    assert not found.worse


def test_equal_statements_are_paired_in_their_order(tmp_path: Path) -> None:
    twice = [law("a", 0.01), law("a", 0.05)]
    found = compared(tmp_path, twice, twice)
    assert len(found.pairs) == 2
    assert all(pair.moved == 0 for pair in found.pairs)


def test_the_report_shows_both_runs_and_their_names_are_text(tmp_path: Path) -> None:
    before = folder(tmp_path / "before", law("broken", 0.02), law(HOSTILE, 0.0))
    after = folder(tmp_path / "after", law("broken", 0.3, "violated"))
    page = render(after, against=before)
    assert "was holds" in page
    assert page.count('class="was"') == 1
    assert "<img" not in page
    assert 'id="changes"' not in render(after)
