"""Scaling: each point of an axis is measured in the process of its net, and the fit uses the answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from ilr_check.bench import scaling
from ilr_check.bench.measure import Cell
from ilr_check.bench.results import Absent, Fit
from ilr_check.bench.worker import Order, Sample, Warm
from ilr_check.bench.workloads import Workload
from ilr_check.nets.specs import MLPSpec


class Lawful:
    """A worker whose cost is width^2 depth^1 batch^0.5 runs^-0.25, and 1/steps of a whole training."""

    def __init__(self, workload: Workload) -> None:
        assert isinstance(workload.net, MLPSpec)
        widths = workload.net.widths
        self.cost = widths[0] ** 2.0 * len(widths) * workload.batch_size**0.5

    def ask(self, order: Order) -> dict[str, Any]:
        if isinstance(order, Warm):
            return {"compile_seconds": 0.0, "peak_mib": None, "timed_runs": order.runs}
        assert isinstance(order, Sample)
        return {"us_per_run_step": self.cost * order.runs**-0.25 / (order.steps if order.whole else 1)}


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fit]:
    @contextmanager
    def lawful(wanted: Sequence[Any], *_: object) -> Iterator[list[Cell]]:
        yield [Cell(workload, path, Lawful(workload)) for workload, path in wanted]  # type: ignore[arg-type]

    monkeypatch.setattr(scaling, "open_cells", lawful)
    found, absent = scaling.measure_scaling(
        "compiled", threads=1, device="cpu", rounds=2, seconds=0.0, progress=lambda text: None
    )
    assert absent == []
    return {fit.axis: fit for fit in found}


@pytest.mark.parametrize(
    ("axis", "power"), [("runs", -0.25), ("width", 2.0), ("depth", 1.0), ("batch", 0.5), ("steps", -1.0)]
)
def test_each_axis_finds_its_own_law(fits: dict[str, Fit], axis: str, power: float) -> None:
    assert fits[axis].exponent == pytest.approx(power, abs=1e-9)
    assert fits[axis].high - fits[axis].low < 1e-9


def test_a_path_that_cannot_be_taken_leaves_its_reason_once(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nothing(
        wanted: Any, threads: int, device: str, absent: list[Absent], progress: Any
    ) -> Iterator[list[Cell]]:
        absent.append(Absent(path="jax", workload=wanted[0][0].name, reason="no jax"))
        yield []

    monkeypatch.setattr(scaling, "open_cells", nothing)
    found, absent = scaling.measure_scaling(
        "jax", threads=1, device="cpu", rounds=1, seconds=0.0, progress=lambda text: None
    )
    assert found == []
    assert [a.reason for a in absent] == ["no jax"]
