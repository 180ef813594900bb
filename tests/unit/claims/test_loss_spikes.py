"""Loss spikes counted by hand, the sharpness against dense eigenvalues, and what a run depends on."""

import msgspec
import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.trainings.full_batch import FullBatch, random_like
from ilr_check.claims.function_space.trainings.loss_spikes import (
    FALL,
    LateDescent,
    SpikeCell,
    SpikeRuns,
    spikes,
)
from ilr_check.claims.lab import Lab
from ilr_check.data import DigitsSpec
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import MLPSpec
from ilr_check.train.world import World, world_of

NET = MLPSpec(inputs=64, widths=(3,), classes=10)
SMALL = LateDescent(
    title="small",
    regime="periodic",
    net=NET,
    data=DigitsSpec(),
    levels=(0.2, 0.1),
    edge_levels=(0.1,),
    noise_level=0.2,
    noises=(1e-3, 1e-2),
    examples=16,
    burn_in=1.0,
    window=3.0,
    looks=(2,),
)


def test_a_spike_is_a_fall_by_a_factor_two_after_a_rise_by_as_much() -> None:
    small, large = 0.5 * FALL, 1.5 * FALL
    path = np.array([0.0, small, 0.0, small, small - large, small - 2 * large, -large, 0.0, -large])
    tops, falls = spikes(path)
    # The wiggle by half of it is none; a fall in two steps is one; the last comes after a rise.
    assert tops.tolist() == [1, 7]
    assert falls.tolist() == [4, 8]


def test_a_climb_without_a_fall_has_no_spike() -> None:
    assert [times.size for times in spikes(np.linspace(0.0, 10.0, 50))] == [0, 0]


def dense_hessian(weights: torch.Tensor) -> torch.Tensor:
    data = load(DigitsSpec(), dtype=torch.float64, device="cpu")
    module = build(NET, dtype=torch.float64)
    (name,) = initial_parameters(NET, 0)

    def loss(w: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(
            functional_call(module, {name: w}, (data.x[:16],)), data.y[:16]
        )

    return hessian(loss, weights).reshape(weights.numel(), weights.numel())


@pytest.mark.parametrize("seed", [3, 4])
def test_the_sharpness_weighs_each_unit_by_its_own_effective_lr(seed: int) -> None:
    ((name, w),) = initial_parameters(NET, seed, dtype=torch.float64).items()
    w = w * torch.tensor([[0.3], [1.0], [2.5]], dtype=torch.float64)
    lr = 0.1
    batch = FullBatch(NET, DigitsSpec(), 16, "cpu")
    lanes = {name: w[None]}
    top, _ = batch.sharpness(lanes, random_like(lanes, [0]), 400)
    # Units are normalised one by one: three invariant groups, each with Phi_k = lr / r_k^2.
    phi = (lr / w.square().sum(dim=1)).repeat_interleave(64)
    at_unit_norm = dense_hessian(w / w.norm(dim=1, keepdim=True))
    weighted = phi.sqrt()[:, None] * at_unit_norm * phi.sqrt()
    values = torch.linalg.eigvalsh(weighted)
    expected = values[values.abs().argmax()]
    assert float(lr * top[0]) == pytest.approx(float(expected), rel=1e-6)


class DoubledLR:
    """The last half of the runs of a population steps with twice the learning rate."""

    fraction = 0.5

    def lr(self, lr: torch.Tensor, step: int) -> torch.Tensor:
        return 2.0 * lr


def made(world: World | None = None) -> SpikeRuns:
    return SpikeRuns(SMALL, Lab(Context(seed=0, profile="quick", world=world), 1))


def test_what_is_read_has_one_number_a_run_and_noise_is_paired() -> None:
    runs = made()
    level = SpikeCell(intrinsic_lr=0.1)
    for read in (runs.growth, runs.gaps, runs.before_spikes, runs.at_states):
        found = read(level, 2)
        assert found.shape == (2,)
        assert np.isfinite(found).all()
    assert len(runs.path(level, 0)) == 30
    weak, strong = (runs.path(SpikeCell(intrinsic_lr=0.2, noise=noise), 0) for noise in SMALL.noises)
    assert not np.array_equal(weak, strong)


@pytest.mark.parametrize("cell", SMALL.cells)
def test_a_world_enters_the_last_runs_of_every_cell(cell: SpikeCell) -> None:
    plain, departing = made(), made(world_of(DoubledLR))
    # The test reads the last run first, so that both are trained together.
    last, first = (np.abs(departing.path(cell, run) - plain.path(cell, run)).max() for run in (1, 0))
    assert first < 1e-3
    assert last > 0.1


def test_more_runs_extend_the_first() -> None:
    level = SpikeCell(intrinsic_lr=0.1)
    together = made().growth(level, 2)
    apart = made()
    first = apart.growth(level, 1)
    assert apart.growth(level, 2)[0] == first[0]
    # A run beside others is the same up to rounding, which 40 steps do not amplify.
    np.testing.assert_allclose(apart.growth(level, 2), together, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"edge_levels": (0.3,)},
        {"edge_levels": ()},
        {"noises": (0.1,)},
        {"noises": (0.1, 0.01)},
    ],
)
def test_a_plan_that_can_not_be_read_is_refused(wrong: dict[str, object]) -> None:
    plan = msgspec.to_builtins(SMALL) | wrong
    with pytest.raises(msgspec.ValidationError, match="must be"):
        msgspec.convert(plan, type=LateDescent)
