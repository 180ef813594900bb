"""The gradient of SVAG: that of two batches, with the mean of one and ``order`` times its covariance."""

from collections import Counter

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet, watched
from torch.profiler import ProfilerActivity, profile

from ilr_check.data import SvagNoise, TeacherStudentSpec
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.train.fleet import BLOCK, Runs
from ilr_check.train.noise import SPREAD, gradients, svag_spread

LAYER = MLPSpec(inputs=6, widths=(8, 5), classes=3, norm=NormSpec(kind="layer"))
BATCH = MLPSpec(inputs=6, widths=(8, 5), classes=3)
DATA = TeacherStudentSpec(inputs=6, classes=3, examples=12)
RUNS = Runs(seeds=[1, 2, 3], lr=0.1, weight_decay=0.1)


@pytest.mark.parametrize("order", [1.0, 2.0, 7.5])
def test_over_all_pairs_of_batches_the_mean_is_kept_and_the_covariance_is_order_times(order: float) -> None:
    """The batches are all ordered pairs of examples, once each. Nothing is sampled, so the only error is
    rounding."""
    fleet = eager_fleet(LAYER, DATA, batch_size=1)
    x, y = fleet.dataset.x, fleet.dataset.y
    n = len(y)
    one, other = (part.flatten() for part in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"))
    weights = initial_parameters(LAYER, 1, dtype=x.dtype, device="cpu")

    def flat(noise: SvagNoise | None, rows: torch.Tensor) -> torch.Tensor:
        lanes = {name: w.expand(len(rows), *w.shape) for name, w in weights.items()}
        spread = {SPREAD: torch.tensor(svag_spread(order), dtype=x.dtype)}
        found, _ = gradients(fleet.module, noise)(lanes, x, rows, y[rows], spread)
        return torch.cat([g.flatten(1) for g in found.values()], dim=1)

    single = flat(None, torch.arange(n)[:, None])
    pairs = flat(SvagNoise(order=order), torch.stack([one, other], dim=1))
    mean = single.mean(dim=0)
    assert pairs.mean(dim=0).numpy() == pytest.approx(mean.numpy(), abs=1e-13)
    covariance, expected = ((g - mean).T @ (g - mean) / len(g) for g in (pairs, single))
    assert covariance.numpy() == pytest.approx(order * expected.numpy(), abs=1e-12)


@pytest.mark.parametrize("net", [LAYER, BATCH], ids=["layer norm", "batch norm"])
def test_a_step_is_that_of_two_batches_by_autograd(net: MLPSpec) -> None:
    """Under batch norm each of the two has its own statistics."""
    fleet = eager_fleet(net, DATA, batch_size=4, noise=SvagNoise(order=3.0))
    seen, trace = watched(fleet, RUNS, 3)
    assert all(step.index.shape == (4, 8) for step in seen)
    module, s = build(net, dtype=torch.float64), 5.0**0.5
    for t, step in enumerate(seen):
        for name, parameter in module.named_parameters():
            parameter.data.copy_(step.weights[name][1])
        x, y = fleet.dataset.x[step.index[1]], fleet.dataset.y[step.index[1]]
        losses = [
            torch.nn.functional.cross_entropy(module(x[half]), y[half])
            for half in (slice(None, 4), slice(4, None))
        ]
        combined = 0.5 * (1.0 + s) * losses[0] + 0.5 * (1.0 - s) * losses[1]
        found = torch.autograd.grad(combined, list(module.parameters()))
        for (name, w), g in zip(step.weights.items(), found, strict=True):
            expected = (1.0 - 0.01) * w[1] - 0.1 * g
            assert torch.allclose(step.after[name][1], expected, rtol=1e-12, atol=1e-13)
        assert trace.loss[t, 1] == pytest.approx(float(sum(losses).detach()) / 2, rel=1e-12)


def test_order_one_is_sgd_on_the_first_batch() -> None:
    two, one = (eager_fleet(LAYER, DATA, batch_size=4, noise=noise) for noise in (SvagNoise(order=1.0), None))
    (step,), _ = watched(two, RUNS, 1)
    plain, _ = gradients(one.module, None)(
        step.weights, one.dataset.x, step.index[:, :4], one.dataset.y[step.index[:, :4]], {}
    )
    for name, g in plain.items():
        assert torch.allclose(step.after[name], 0.99 * step.weights[name] - 0.1 * g, rtol=1e-13, atol=1e-14)


def test_a_run_does_not_depend_on_those_beside_it() -> None:
    fleet = eager_fleet(LAYER, DATA, noise=SvagNoise(order=2.0), lanes=3)
    together = fleet.train(RUNS, 5)
    alone = fleet.train(Runs(seeds=[2], lr=0.1, weight_decay=0.1), 5)
    assert np.array_equal(together.norm2[:, 1], alone.norm2[:, 0])


def test_one_program_serves_every_order() -> None:
    fleets = [eager_fleet(LAYER, DATA, noise=SvagNoise(order=order)) for order in (2.0, 8.0)]
    assert fleets[0]._step is fleets[1]._step
    first, second = (fleet.train(RUNS, 2).norm2[1] for fleet in fleets)
    assert not np.array_equal(first, second)


def test_a_step_waits_for_no_number() -> None:
    fleet = eager_fleet(LAYER, DATA, noise=SvagNoise(order=2.0))

    def events(steps: int) -> Counter[str]:
        with profile(activities=[ProfilerActivity.CPU]) as found:
            fleet.train(RUNS, steps, record_every=1000)
        return Counter(event.name() for event in found.profiler.kineto_results.events())

    short, long = events(BLOCK), events(2 * BLOCK)
    assert long["aten::bmm"] > short["aten::bmm"]
    waits = ("aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::equal")
    assert {name: long[name] - short[name] for name in waits} == dict.fromkeys(waits, 0)


@pytest.mark.parametrize("order", [0.5, float("inf"), float("nan")])
def test_an_order_below_sgd_is_refused(order: float) -> None:
    with pytest.raises(ValueError, match="1 is SGD"):
        SvagNoise(order=order)
