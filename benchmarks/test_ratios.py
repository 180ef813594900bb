"""The guard of the nightly run: no ratio of speeds has fallen below the committed ones of this machine."""

from __future__ import annotations

import pytest
from ratios import ROUNDS, committed, machine, measured, slower

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("workload", ["reference", "cnn"])
def test_no_ratio_is_lower_than_committed(workload: str) -> None:
    known = committed().get(machine(), {}).get(workload)
    if known is None:
        pytest.skip(f"no ratios are committed for {machine()}; python benchmarks/ratios.py commits them")
    assert slower(measured(workload, ROUNDS), known) == []


def test_a_fleet_that_became_slower_is_found_and_noise_is_not() -> None:
    known = {"loop / compiled": [14.0, 15.0, 16.0], "limit / compiled": [0.5, 0.6, 0.7]}
    noisy = {"loop / compiled": [12.0, 14.5, 20.0], "limit / compiled": [0.3, 0.5, 0.6]}
    assert slower(noisy, known) == []
    # The fleet without its compiler is 4 times slower, and a fifth slower is already beyond the noise.
    slow = {name: [0.8 * value for value in values] for name, values in known.items()}
    assert slower({**noisy, "loop / compiled": slow["loop / compiled"]}, known) == [
        "loop / compiled is 12, and was 15 with no round below 14"
    ]
