"""Each decision keeps both of its error rates and its power on data with a known truth.

The nominal rates are 0.05, 0.01 and 0.001, with 200 000 replicates in each cell (permutation rules: 2000, at
0.05 and 0.01). Every push draws a tenth of them. A cell fails if its result breaks the promise by more than
its exact binomial limit, which holds for all cells of this file at once. Each study has seeds of its own,
from its name.
"""

import pytest

from ilr_check.stats.calibration import CORE, Study, cell_count, failing, limited, tally

REPLICATES = 200_000


def named(study: Study) -> str:
    return f"{study.decision}: {study.situation}"


@pytest.mark.parametrize("part", [10, pytest.param(1, marks=pytest.mark.nightly)], ids=["a tenth", "all"])
@pytest.mark.parametrize("study", CORE, ids=named)
def test_a_decision_keeps_its_promise(study: Study, part: int) -> None:
    cells = list(tally(study, (study.replicates or REPLICATES) // part, seed=0))
    assert len(cells) == cell_count([study])
    broken = failing(limited(cells, among=cell_count(CORE)))
    assert not broken, "\n".join(
        f"{cell.what} at {cell.at:g}, nominal {cell.nominal:g}: promised {cell.promised:g}, measured "
        f"{cell.measured:.3g} ({cell.low:.3g} to {cell.high:.3g})"
        for cell in broken
    )


def test_every_decision_is_measured_and_so_is_its_power() -> None:
    decisions = {study.decision.split(",")[0] for study in CORE}
    assert decisions == {
        "mean",
        "curve",
        "slope",
        "relaxation rate",
        "contrast with control",
        "distribution with control",
        "collapse",
        "tail index",
    }
    assert all(any(study.within for study in CORE if study.decision == decision) for decision in decisions)
    assert all(any(study.beyond for study in CORE if study.decision == decision) for decision in decisions)
