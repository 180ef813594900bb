"""Figures as files: thinned arrays without pickles, and a clear message for a damaged file."""

from pathlib import Path

import numpy as np
import pytest

from ilr_check.evidence.figures import MAX_BYTES, MAX_POINTS, Figure, Series, load, save


def figure(*series: Series) -> Figure:
    return Figure(
        name="a-figure",
        title="η‖g‖",
        x_label="t",
        y_label="y",
        y_log=True,
        caption="look <here> & there",
        series=series,
    )


def test_a_figure_comes_back(tmp_path: Path) -> None:
    x = np.arange(5.0)
    line = Series(
        name="line", kind="line", role="measured", x=x, y=np.array([1.0, np.nan, np.inf, 0, -1e-300])
    )
    band = Series(name="band", kind="band", role="margin", x=x, low=x - 1, high=x + 1)
    found = load(save(figure(line, band), tmp_path / "traces"))
    assert (found.name, found.title, found.caption) == ("a-figure", "η‖g‖", "look <here> & there")
    assert (found.x_log, found.y_log) == (False, True)
    assert [(s.name, s.kind, s.role) for s in found.series] == [
        ("line", "line", "measured"),
        ("band", "band", "margin"),
    ]
    np.testing.assert_array_equal(found.series[0].y, line.y)
    np.testing.assert_array_equal(found.series[1].high, x + 1)
    assert found.series[0].low is None
    assert found.series[1].y is None


def test_a_long_curve_is_thinned_and_keeps_its_ends(tmp_path: Path) -> None:
    x = np.arange(10 * MAX_POINTS + 7.0)
    found = load(save(figure(Series(name="s", kind="line", role="measured", x=x, y=-x)), tmp_path)).series[0]
    assert found.x is not None
    assert len(found.x) == MAX_POINTS
    assert (found.x[0], found.x[-1]) == (0.0, x[-1])
    assert np.diff(found.x).min() >= 9
    np.testing.assert_array_equal(found.y, -found.x)


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"not a zip file"],
    ids=["cut", "empty", "other"],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: object) -> None:
    path = save(figure(Series(name="s", kind="histogram", role="measured", y=np.ones(3))), tmp_path)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"a-figure\.npz is not a readable figure"):
        load(path)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, layout=np.array([{"name": "x"}], dtype=object))
    with pytest.raises(ValueError, match="not a readable figure"):
        load(path)


def test_saving_leaves_no_partial_file(tmp_path: Path) -> None:
    save(figure(), tmp_path)
    save(figure(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a-figure.npz"]


def test_a_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, layout=np.array("{}"), x0=np.zeros(MAX_BYTES // 8))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=r"bomb\.npz is not a readable figure: it unpacks to \d+ bytes"):
        load(path)
