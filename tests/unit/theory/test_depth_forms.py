"""Closed forms of depth against quadrature and against the recursion from which they follow."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ilr_check.theory.depth import equilibration_time, gradient_growth
from ilr_check.theory.sgd import squared_norm_path


def test_the_growth_is_half_over_the_variance_of_a_rectified_gaussian() -> None:
    def moment(power: int) -> float:
        return float(integrate.quad(lambda x: x**power * stats.norm.pdf(x), 0, np.inf)[0])

    assert gradient_growth() == pytest.approx(0.5 / (moment(2) - moment(1) ** 2), rel=1e-9)


@pytest.mark.parametrize("batch", [8, 64])
def test_the_growth_in_a_small_batch_is_that_of_simulated_batch_norms(batch: int) -> None:
    """Autograd through BatchNorm and ReLU of a wide layer whose examples are equally far from each other."""
    generator = torch.Generator().manual_seed(5)
    units, scale = 20_000, 0.5 - relu_product(batch)
    z = (scale**0.5 * torch.randn((units, batch), generator=generator, dtype=torch.float64)).requires_grad_()
    centred = z - z.mean(dim=1, keepdim=True)
    out = torch.relu(centred / centred.square().mean(dim=1, keepdim=True).sqrt())
    # Gradients that arrive orthogonal to (1, .., 1), as BatchNorm of the next layer sends them.
    arriving = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    arriving = arriving - arriving.mean(dim=1, keepdim=True)
    (leaving,) = torch.autograd.grad(out, z, arriving)
    growth = float(leaving.square().sum() / arriving.square().sum())
    assert growth == pytest.approx(gradient_growth(batch), rel=0.02)
    centred_out = (out - out.mean(dim=1, keepdim=True)).square().sum() / (units * (batch - 1))
    assert float(centred_out.detach()) == pytest.approx(scale, rel=0.01)


def relu_product(batch: int) -> float:
    """E relu(y_1) relu(y_2) of unit Gaussians at the correlation -1/(batch - 1), by integration."""
    rho = -1.0 / (batch - 1)
    spread = np.sqrt(1.0 - rho**2)

    def given(x: float) -> float:
        mean = rho * x
        return float(mean * stats.norm.cdf(mean / spread) + spread * stats.norm.pdf(mean / spread))

    return float(integrate.quad(lambda x: x * stats.norm.pdf(x) * given(x), 0, np.inf)[0])


def test_the_growth_tends_to_that_of_large_batches() -> None:
    ratios = [(gradient_growth(n) / gradient_growth() - 1.0) * n for n in (1_000, 100_000)]
    assert ratios == pytest.approx([1.1, 1.1], abs=0.05)


@pytest.mark.parametrize("big", [1e6, 1e10])
def test_after_the_time_only_an_excess_of_order_one_is_left(big: float) -> None:
    lr, wd = 0.1, 0.002
    steps = round(float(equilibration_time(lr, wd, big, 1.0)))
    noise = np.array([big, *[big] * steps])
    path = squared_norm_path(1.0, noise, np.full(steps + 1, lr), np.full(steps + 1, wd))
    # gamma = r^4 / lr^2 goes as gamma* + (gamma_1 - gamma*) / x once e^(-4 lambda_e t) = 1/x.
    x = 2 * lr * wd * lr**2 * big
    left = path[-1] ** 2 / lr**2 * 2 * lr * wd / big
    assert left == pytest.approx(2.0 - 1.0 / x, rel=0.02)


def test_a_norm_that_was_not_blown_up_needs_no_time() -> None:
    assert float(equilibration_time(0.1, 0.02, 1e-6, 1.0)) == 0.0


def test_batch_norm_keeps_relative_lengths_of_examples_and_a_layer_adds_to_their_spread() -> None:
    """What the page of ``deep-bn`` says about large batches."""
    generator = torch.Generator().manual_seed(5)
    examples, units = 4096, 1024

    def layer(lengths: torch.Tensor) -> tuple[torch.Tensor, float]:
        z = lengths * torch.randn((units, examples), generator=generator, dtype=torch.float64)
        out = torch.relu(z / z.square().mean(dim=1, keepdim=True).sqrt())
        centred = out - out.mean(dim=1, keepdim=True)
        squares = centred.square().mean(dim=0)
        return squares / squares.mean(), float(squares.mean())

    added, plain = layer(torch.ones(examples, dtype=torch.float64))
    assert units * float(added.var()) == pytest.approx(4.4, rel=0.1)
    assert plain == pytest.approx(0.5 - 0.5 / np.pi, abs=5e-4)

    spread = 1.0 + 0.2 * torch.randn(examples, generator=generator, dtype=torch.float64)
    spread = spread / spread.square().mean().sqrt()
    after, rectified = layer(spread)
    slope = float(torch.cov(torch.stack([spread, after.sqrt()]))[0, 1] / spread.var())
    assert slope == pytest.approx(1.0, abs=0.05)
    assert rectified - plain == pytest.approx(float(spread.var()) / (2.0 * np.pi), rel=0.1)
