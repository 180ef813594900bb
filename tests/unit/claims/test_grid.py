"""Estimates of noise and mean gradient from pairs of batches, and the line whose intercept is the value of
the SDE."""

import numpy as np
import pytest
import torch

from ilr_check.claims.mean_field.trainings.grid import Grid, GridCell, intercept_weights, pair
from ilr_check.claims.mean_field.trainings.probes import Probes
from ilr_check.data import TeacherStudentSpec
from ilr_check.data.sets import load
from ilr_check.nets import build
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.train.noise import gradients

NET = MLPSpec(inputs=4, widths=(5,), classes=3, norm=NormSpec(kind="layer"))
GRID = Grid(
    title="unit",
    net=NET,
    data=TeacherStudentSpec(inputs=4, classes=3, examples=16),
    cells=(GridCell(lr=0.5, weight_decay=0.1, batch_size=4, order=2.0),),
    probe_size=4,
)


def test_pairs_of_batches_measure_trace_and_mean_gradient() -> None:
    """Against all 16 examples, at weights of norm 1, within 5 standard errors."""
    probes, n = Probes(NET, GRID.data, batch_size=2 * GRID.probe_size, device="cpu"), 4000
    (w,) = initial_parameters(NET, 1, dtype=torch.float32, device="cpu").values()
    w = w / w.norm()
    (name,) = probes.names
    found = pair(probes, GRID.probe_size, {name: w.expand(n, *w.shape)}, range(n))

    dataset = load(GRID.data, dtype=torch.float32)
    singles, _ = gradients(build(NET, dtype=torch.float32), None)(
        {name: w.expand(16, *w.shape)}, dataset.x, torch.arange(16)[:, None], dataset.y[:, None], {}
    )
    each = singles[name].flatten(1)
    mean2 = float((each.mean(dim=0) ** 2).sum())
    trace = float((each**2).sum(dim=1).mean()) - mean2
    for what, expected in (("apart ", 2 * trace / 4), ("product ", mean2)):
        values = found[what + name]
        assert float(values.mean()) == pytest.approx(expected, abs=5 * float(values.std()) / n**0.5)
        assert expected > 10 * float(values.std()) / n**0.5


def test_the_step_of_an_order_is_smaller_and_its_equilibrium_has_the_noise_of_more() -> None:
    (cell,) = GRID.cells
    assert (cell.step_lr, cell.intrinsic_lr) == pytest.approx((0.25, 0.025))
    assert cell.gain == pytest.approx(0.25**2 / (1 - 0.975**2))


@pytest.mark.parametrize("orders", [(1.0, 2.0, 4.0), (2.0, 4.0, 8.0), (1.0, 3.0)])
def test_the_intercept_of_a_line_is_found(orders: tuple[float, ...]) -> None:
    x = 1.0 / np.array(orders)
    assert intercept_weights(orders) @ (3.0 + 2.0 * x) == pytest.approx(3.0, rel=1e-13)
