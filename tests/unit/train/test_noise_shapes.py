"""Noise of other shapes: it has the promised covariance and trace, and its tails fall at the promised
rate."""

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet
from torch.func import functional_call

from ilr_check.data import BatchNoise, HeavyTailedNoise, TeacherStudentSpec
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.train.fleet import Runs
from ilr_check.train.noise import MEAN, NORMALS, gaussian_shares, gradients, lengths, mean_shares

NET = MLPSpec(inputs=6, widths=(8, 5), classes=4, norm=NormSpec(kind="layer"))
DATA = TeacherStudentSpec(inputs=6, classes=3, examples=24, label_noise=0.3)
RUNS = Runs(seeds=[1, 2, 3], lr=0.1, weight_decay=0.1)


def test_gaussian_shares_have_the_covariance_of_a_batch() -> None:
    """The linear map z -> shares - m has M M' = scale^2 (D - m m') in exact arithmetic."""
    mean = mean_shares(torch.tensor([0, 1, 1, 2]), 3, 4, 0.5, torch.float64)
    unit = torch.eye(16, dtype=torch.float64).reshape(16, 4, 4)
    columns = (gaussian_shares(mean, unit, 0.25) - mean).reshape(16, 16)
    m = mean.flatten()
    assert float(mean.sum()) == pytest.approx(1.0, rel=1e-15)
    expected = 0.25**2 * (torch.diag(m) - torch.outer(m, m))
    assert (columns.T @ columns).numpy() == pytest.approx(expected.numpy(), abs=1e-15)


def test_shares_of_a_batch_give_its_gradient() -> None:
    """Where the shares are counts over B, the weighted loss is the loss of that batch."""
    fleet = eager_fleet(NET, DATA)
    x, y = fleet.dataset.x, fleet.dataset.y
    rows = torch.tensor([[3, 3, 5, 7, 11, 2, 0, 9]])
    counts = torch.zeros(1, len(y), 4, dtype=x.dtype).index_put_(
        (torch.zeros(8, dtype=torch.int64), rows[0], y[rows[0]]),
        torch.full((8,), 1 / 8, dtype=x.dtype),
        accumulate=True,
    )
    weights = {n: w[None] for n, w in initial_parameters(NET, 1, dtype=x.dtype, device="cpu").items()}
    plain, _ = gradients(fleet.module, None)(weights, x, rows, y[rows], {})
    zero = {MEAN: counts[0], NORMALS: torch.zeros_like(counts)}
    shared, _ = gradients(fleet.module, BatchNoise(shape="gaussian"))(weights, x, rows, y[rows], zero)
    worst = max(float((plain[n] - shared[n]).abs().max() / plain[n].abs().max()) for n in plain)
    assert worst < 1e-12


@pytest.mark.parametrize("trace", [1.0, 4.0])
def test_shuffled_signs_keep_the_length_of_the_batchs_own_noise(trace: float) -> None:
    fleet = eager_fleet(NET, DATA, noise=BatchNoise(shape="sign-shuffled"))
    x, y = fleet.dataset.x, fleet.dataset.y
    rows = torch.arange(16).reshape(2, 8)
    weights = {
        name: torch.stack([w, 2.0 * w])
        for name, w in initial_parameters(NET, 1, dtype=x.dtype, device="cpu").items()
    }
    mean = mean_shares(y, 3, 4, 0.3, x.dtype)
    generator = torch.Generator().manual_seed(0)
    signs = {n: torch.randn(w.shape, generator=generator, dtype=x.dtype).sign() for n, w in weights.items()}
    noise = BatchNoise(shape="sign-shuffled", trace=trace)
    plain, _ = gradients(fleet.module, None)(weights, x, rows, y[rows], {})
    found, _ = gradients(fleet.module, noise)(weights, x, rows, y[rows], {**signs, MEAN: mean})

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return -(mean * torch.log_softmax(functional_call(fleet.module, parameters, (x,)), -1)).sum()

    full = torch.func.grad(loss)({n: w[0] for n, w in weights.items()})
    name = next(iter(weights))
    own, other = plain[name][0] - full[name], found[name][0] - full[name]
    assert float(other.norm() / own.norm()) == pytest.approx(trace**0.5, rel=1e-12)
    assert abs(float((other * weights[name][0]).sum())) < 1e-12
    assert float((own * other).sum() / (own.norm() * other.norm())) < 0.9


@pytest.mark.parametrize(
    ("noise", "exceeded"),
    [
        # P(U^(-1/tail) > s) = s^-tail; |t| with 1 degree of freedom is Cauchy, 2/pi atan(1/s) beyond s.
        (HeavyTailedNoise(size=1.0, tail=1.5), lambda s: s**-1.5),
        (HeavyTailedNoise(size=1.0, tail=1.0, shape="student"), lambda s: 2 / np.pi * np.arctan(1 / s)),
    ],
    ids=["pareto", "student"],
)
def test_lengths_fall_as_their_tail_says(noise, exceeded) -> None:  # type: ignore[no-untyped-def]
    n = 200_000
    drawn = lengths(noise, torch.rand(n, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    at = np.array([1.5, 3.0, 10.0, 100.0])
    share = (drawn.numpy()[:, None] > at).mean(axis=0)
    expected = exceeded(at)
    # Five standard errors of a share.
    assert (np.abs(share - expected) < 5 * np.sqrt(expected / n)).all()


@pytest.mark.parametrize(
    "noise",
    [
        HeavyTailedNoise(size=1.0, tail=1.2),
        BatchNoise(shape="gaussian"),
        BatchNoise(shape="sign-shuffled"),
    ],
    ids=["pareto", "gaussian", "sign-shuffled"],
)
def test_a_run_does_not_depend_on_those_beside_it(noise: HeavyTailedNoise | BatchNoise) -> None:
    fleet = eager_fleet(NET, DATA, noise=noise, lanes=3)
    together = fleet.train(RUNS, 5)
    alone = fleet.train(Runs(seeds=[2], lr=0.1, weight_decay=0.1), 5)
    assert np.array_equal(together.norm2[:, 1], alone.norm2[:, 0])
    assert not np.array_equal(together.norm2[:, 1], together.norm2[:, 0])


def test_batch_norm_has_no_gradients_of_single_examples() -> None:
    net = MLPSpec(inputs=6, widths=(8,), classes=3)
    with pytest.raises(ValueError, match="under batch norm"):
        eager_fleet(net, DATA, noise=BatchNoise(shape="gaussian"))
