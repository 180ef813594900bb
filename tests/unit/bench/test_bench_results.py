"""Rows, ratios, fits and tables, from given numbers."""

import json

import msgspec
import numpy as np
import pytest

from ilr_check.bench import figure, tables
from ilr_check.bench.results import PATHS, Absent, Bench, Fit, PathName, Row, choose_paths, ratio
from ilr_check.bench.scaling import AXES, exponent

FIELDS = {"workload", "path", "runs", "us_per_run_step", "peak_mib", "compile_seconds"}


def row(path: PathName, runs: int, *samples: float) -> Row:
    return Row(
        workload="reference",
        path=path,
        runs=runs,
        us_per_run_step=sorted(samples)[len(samples) // 2],
        peak_mib=None if path == "limit" else 12.0,
        compile_seconds=7.0 if path == "compiled" else 0.0,
        timed_runs=min(runs, 4),
        minimum_mib=6.0,
        samples=samples,
    )


BENCH = Bench(
    machine={"processor": "one", "threads": 1, "gpu": None},
    versions={"torch": "2", "jax": "absent"},
    rounds=3,
    rows=(
        row("loop", 64, 300.0, 200.0, 210.0),
        row("compiled", 64, 30.0, 40.0, 20.0),
        row("limit", 64, 15.0, 16.0, 17.0),
        row("compiled", 1, 100.0, 100.0, 100.0),
        row("product", 64, 9.0, 8.0, 5.0),
    ),
    absent=(Absent(path="jax", workload="reference", reason="jax is not installed"),),
    scaling=(
        Fit(
            path="compiled",
            axis="width",
            values=(1, 2, 4),
            us_per_run_step=(1.0, 2.0, 4.0),
            exponent=1.0,
            low=0.9,
            high=1.1,
        ),
    ),
)


def test_json_has_the_promised_fields_in_every_row_and_is_read_back() -> None:
    found = json.loads(BENCH.json())
    assert [set(r) >= FIELDS for r in found["rows"]] == [True] * 5
    assert {r["path"] for r in found["rows"]} <= set(PATHS)
    assert msgspec.json.decode(BENCH.json(), type=Bench) == BENCH


def test_a_ratio_is_the_median_of_ratios_of_the_same_round() -> None:
    # 10, 5 and 10.5: the ratio of the medians would be 7.
    assert ratio([300.0, 200.0, 210.0], [30.0, 40.0, 20.0]) == 10.0
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_paths_come_in_the_order_of_the_table() -> None:
    assert choose_paths(["limit", "loop", "loop"]) == ["loop", "limit"]
    with pytest.raises(ValueError, match="path 'lop' is not known; choose from loop, eager, compiled"):
        choose_paths(["lop"])


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_an_exact_power_law_has_its_exponent(power: float) -> None:
    values = [1, 4, 16, 64]
    p, low, high = exponent(values, [3.0 * v**power for v in values])
    assert p == pytest.approx(power, abs=1e-12)
    assert low <= p <= high
    # Logarithms below 10 in size are off by less than 1e-15 each.
    assert high - low < 1e-12


def test_the_interval_covers_the_exponent_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    values, repeats = [16, 32, 64, 128, 256], 1000
    hits = 0
    for noise in rng.normal(scale=0.2, size=(repeats, len(values))):
        _, low, high = exponent(values, np.array(values) ** 1.5 * np.exp(noise))
        hits += low <= 1.5 <= high
    # Five standard errors of a share of 0.95 among 1000.
    assert abs(hits / repeats - 0.95) < 5 * (0.95 * 0.05 / repeats) ** 0.5


def test_a_cost_that_is_no_power_law_has_a_wide_interval() -> None:
    values = [1, 4, 16, 64, 256]
    _, low, high = exponent(values, [50.0 + v for v in values])
    assert high - low > 0.3


def test_two_points_are_too_few_for_an_interval() -> None:
    with pytest.raises(ValueError, match="2 points are given; a fit with an interval needs at least 3"):
        exponent([1, 2], [1.0, 2.0])


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_an_axis_varies_one_thing_and_has_points_enough(axis: object) -> None:
    points = {(a.workload(v), a.runs(v), v if a.whole else 0) for a in AXES if a is axis for v in a.values}
    assert len(points) == len(axis.values) >= 3  # type: ignore[attr-defined]
    kinds = [len({point[i] for point in points}) > 1 for i in range(3)]
    assert sum(kinds) == 1


def test_the_page_has_times_ratios_memory_reasons_and_exponents() -> None:
    page = tables.markdown(BENCH)
    assert "| loop |  | 210 |" in page
    assert "| compiled | 100 | 30 |" in page
    assert "| compiled: times faster than the loop |  | 10 |" in page
    assert "| compiled: fraction of the matrix-product limit |  | 0.5 |" in page
    assert "| compiled: fraction of the fastest large product |  | 0.25 |" in page
    assert "| limit: fraction of the fastest large product |  | 0.5 |" in page
    assert "| compiled | 12 | 12 | 7 |" in page
    assert "| product |  | 8 |" in page
    assert page.count("| product |") == 1
    assert "| theoretical minimum | 6 | 6 |  |" in page
    assert "jax on reference was not measured: jax is not installed" in page
    assert "| compiled | width | 1, 2, 4 | 1, 2, 4 | 1.00 | 0.90 to 1.10 |" in page
    assert "threads: 1" in page
    assert "gpu" not in page
    assert "](images/speed.png)" in tables.markdown(BENCH, "images/speed.png")
    assert "](" not in page


def test_a_curve_rises_in_runs() -> None:
    assert figure.curve(BENCH, "reference", "compiled") == ([1, 64], [100.0, 30.0])


def test_a_figure_without_a_browser_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(RuntimeError, match="a figure needs a browser"):
        figure.write_figure(BENCH, figure.Path("x.png"))
