"""The published table belongs to the present catalogue and agrees with the cells."""

import json
from pathlib import Path

from ilr_check.stats.calibration import CORE, FULL, cell_count, measure
from ilr_check.stats.calibration.table import SUMMARY, markdown, summary, worst_first

DOCS = Path(__file__).parents[2] / "docs" / "calibration.md"


def test_the_published_figures_cover_the_catalogue_and_no_cell_fails() -> None:
    figures = json.loads(SUMMARY.read_text(encoding="utf-8"))
    assert figures["cells"] + figures["cells_not_covered"] == cell_count(FULL)
    assert figures["failing"] == 0
    assert figures["replicates"] >= 200_000
    assert figures["lowest_power_at_detectable"] >= 0.95


def test_the_published_page_has_every_study_and_the_command_that_made_it() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert json.loads(SUMMARY.read_text(encoding="utf-8"))["command"] in page
    missing = [study.situation for study in FULL if f"| {study.decision} | {study.situation} |" not in page]
    assert not missing


def test_a_table_is_sorted_by_inflation_and_repeats() -> None:
    studies = CORE[:2]
    cells = measure(studies, replicates=500)
    assert cells == measure(studies, replicates=500)
    assert [cell.inflation for cell in worst_first(cells)] == sorted(
        (c.inflation for c in cells), reverse=True
    )
    figures = summary(cells, replicates=500, seed=0)
    assert figures["cells"] == cell_count(studies)
    assert markdown(cells, replicates=500, seed=0).count("\n| mean |") == len(cells)
