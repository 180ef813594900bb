"""Equilibria of adaptive optimizers against trajectories on the sphere with the optimizers of torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ilr_check.optim.lion import Lion
from ilr_check.theory.adaptive import (
    adam_l2,
    adam_l2_drop,
    adamw,
    adamw_norm,
    adamw_without_correlation,
    changing_norm,
    correlations,
    decoupled,
    decoupled_drop,
    lion,
    lion_correlations,
    lion_norm,
    moving_average,
    nadamw,
)

WALKS, DIM, G = 64, 128, 1.0


def simulated(make: Callable[[list[Any]], Any], steps: int, start: float) -> tuple[float, float]:
    """Return E r^2 and E cos per step, averaged over the second half of independent trajectories."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(WALKS, DIM, generator=generator, dtype=torch.float64)
    parameter = torch.nn.Parameter(w * (start / w.norm(dim=1, keepdim=True)))
    optimizer = make([parameter])
    norms, cosines = [], []
    for t in range(steps):
        before = parameter.detach().clone()
        r2 = before.square().sum(dim=1, keepdim=True)
        noise = torch.randn(WALKS, DIM, generator=generator, dtype=torch.float64)
        noise -= before * (noise * before).sum(dim=1, keepdim=True) / r2
        parameter.grad = G * noise / noise.norm(dim=1, keepdim=True) / r2.sqrt()
        optimizer.step()
        if t >= steps // 2:
            after = parameter.detach()
            norms.append(r2.mean())
            cosines.append(torch.nn.functional.cosine_similarity(before, after, dim=1).mean())
    return float(torch.stack(norms).mean()), float(torch.stack(cosines).mean())


ETA, LAM, B1, B2 = 0.01, 0.2, 0.9, 0.98
CASES: dict[str, tuple[tuple[float, float], Callable[[list[Any]], Any]]] = {
    "AdamW": (
        adamw(ETA, LAM, DIM, B1, B2),
        lambda p: torch.optim.AdamW(p, lr=ETA, weight_decay=LAM, betas=(B1, B2)),
    ),
    "NAdam, decoupled": (
        nadamw(ETA, LAM, DIM, B1, B2),
        lambda p: torch.optim.NAdam(
            p, lr=ETA, weight_decay=LAM, betas=(B1, B2), momentum_decay=0.0, decoupled_weight_decay=True
        ),
    ),
    "Lion": (
        lion(ETA / 4, LAM, DIM, B1, B2),
        lambda p: Lion(p, lr=ETA / 4, weight_decay=LAM, betas=(B1, B2)),
    ),
    "Adam with L2": (
        adam_l2(ETA, 0.02, DIM, B1, G),
        lambda p: torch.optim.Adam(p, lr=ETA, weight_decay=0.02, betas=(B1, B2)),
    ),
    "RMSprop with L2": (
        adam_l2(ETA, 0.02, DIM, 0.0, G),
        lambda p: torch.optim.RMSprop(p, lr=ETA, weight_decay=0.02, alpha=B2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_norm_and_the_rotation(name: str) -> None:
    (norm2, cosine), make = CASES[name]
    measured, turned = simulated(make, 4000, norm2**0.5)
    # For Adam and RMSprop with L2 the fluctuation of v, of order 1 - beta2 = 2 %, is not in the closed form.
    # The walks leave an error of 1 % (64 of 128 coordinates, over four times in which they forget).
    tolerance = 0.03 if "L2" in name else 0.015
    assert measured == pytest.approx(norm2, rel=tolerance)
    assert 1 - turned == pytest.approx(1 - cosine, rel=0.03)


def test_adamw_is_the_closed_form() -> None:
    a = 1 - ETA * LAM
    norm2, cosine = adamw(ETA, LAM, DIM, B1)
    u2 = DIM * (1 - B1) / (1 + B1)
    assert norm2 == pytest.approx(ETA**2 * u2 / (1 - a * a) * (1 + a * B1) / (1 - a * B1), rel=1e-9)
    assert cosine == pytest.approx((a + B1) / (1 + a * B1), rel=1e-9)


def test_an_average_forgets_geometrically() -> None:
    assert correlations(moving_average(0.8))[:3] == pytest.approx([0.8, 0.64, 0.512], rel=1e-9)


def test_leaving_the_correlation_out_is_wrong_by_a_large_factor() -> None:
    assert adamw(ETA, 1e-3, DIM, B1)[0] / adamw_without_correlation(ETA, 1e-3, DIM, B1) == pytest.approx(
        (1 + B1) / (1 - B1), rel=1e-2
    )


def test_lion_without_memory_is_the_sign_of_noise() -> None:
    norm2, cosine = lion(ETA, LAM, DIM, 0.0, 0.99)
    a = 1 - ETA * LAM
    assert norm2 == pytest.approx(ETA**2 * DIM / (1 - a * a), rel=1e-9)
    assert cosine == pytest.approx(a, rel=1e-9)


@pytest.mark.parametrize("k", [4.0, 10.0])
def test_drops_start_at_one_over_k_and_end_at_their_powers(k: float) -> None:
    before, after = adamw(1e-3, 1.0, DIM, B1)[0], adamw(1e-3 / k, 1.0, DIM, B1)[0]
    sgd_like = decoupled_drop(k, before, after, 1e-3 / k, round(20 * k / 1e-3))
    assert sgd_like[0] == pytest.approx(1 / k)
    assert sgd_like[-1] == pytest.approx(k**-0.5, rel=5e-3)
    coupled = adam_l2_drop(k, 1e-2, 1e-2, DIM, G, 100_000)
    assert coupled[0] == pytest.approx(1 / k)
    assert coupled[-1] == pytest.approx(k ** (-2 / 3), rel=1e-3)


def norms_with_and_without_v(decay: float, beta1: float, beta2: float) -> float:
    """Return E r^2 of AdamW over that with v = 1, less 1, both from the same normal noise."""
    rng = np.random.default_rng(0)
    coordinates, a = 20_000, 1.0 - decay
    w = np.sqrt(0.5 / decay) * rng.standard_normal((1, coordinates)).repeat(2, axis=0)
    m, v = np.zeros(coordinates), np.zeros(coordinates)
    forgets_its_start, window = round(2.0 / decay), round(4.0 / decay)
    sums = np.zeros(2)
    for t in range(-500, forgets_its_start + window):
        g = rng.standard_normal(coordinates)
        m, v = beta1 * m + (1.0 - beta1) * g, beta2 * v + (1.0 - beta2) * g * g
        if t >= 0:
            w = a * w - np.stack([m / np.sqrt(v), m])
        if t >= forgets_its_start:
            sums += (w * w).sum(axis=1)
    return float(sums[0] / sums[1] - 1.0)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.98), (0.9, 0.95), (0.0, 0.98), (0.5, 0.98)])
def test_the_fluctuation_of_v_is_in_the_closed_form(beta1: float, beta2: float) -> None:
    """What was 2 % of a margin is derived: what is left is of order (1 - beta2)^2."""
    decay = 0.03
    measured = norms_with_and_without_v(decay, beta1, beta2)
    predicted = adamw(1.0, decay, 1, beta1, beta2)[0] / adamw(1.0, decay, 1, beta1)[0] - 1.0
    assert predicted < -0.013
    assert measured == pytest.approx(predicted, abs=2.5 * (1.0 - beta2) ** 2 + 0.002)


@pytest.mark.parametrize("decay", [1e-4, 2e-3, 3e-2])
def test_that_term_vanishes_with_one_minus_beta2_and_not_with_the_decay(decay: float) -> None:
    terms = [adamw(1.0, decay, 1, 0.9, b)[0] / adamw(1.0, decay, 1, 0.9)[0] - 1.0 for b in (0.98, 0.999, 1.0)]
    assert terms[0] == pytest.approx(-0.0145, abs=0.0005)
    assert terms[1] == pytest.approx(-0.0010, abs=0.0002)
    assert terms[2] == 0.0


def test_the_norm_follows_a_changing_lr_and_decay() -> None:
    """Filtered noise with a decoupled decay is simulated through a drop of the LR and a rise of the decay."""
    beta, runs, dim, burn, steps = 0.8, 400, 16, 300, 60
    eta = np.where(np.arange(burn + steps) < burn, 0.2, 0.05)
    lam = np.where(np.arange(burn + steps) < burn + 20, 0.1, 0.4)
    generator = np.random.default_rng(3)
    w, m = np.zeros((runs, dim)), np.zeros((runs, dim))
    norms = []
    for step, decay in zip(eta, lam, strict=True):
        norms.append((w * w).sum(axis=1).mean())
        m = beta * m + (1.0 - beta) * generator.standard_normal((runs, dim))
        w = (1.0 - step * decay) * w - step * m
    norms.append((w * w).sum(axis=1).mean())
    rho = correlations(moving_average(beta))[:100]
    before = np.concatenate([eta[:1], eta[burn:]]), np.concatenate([lam[:1], lam[burn:]])
    path = dim * (1.0 - beta) / (1.0 + beta) * changing_norm(*before, rho)[1:]
    # 6400 independent coordinates: the mean of their squares has a standard error of 1.8 %.
    assert path / np.array(norms[burn:]) == pytest.approx(1.0, abs=0.07)
    # A constant LR stays at equilibrium, and from 0 it gets there.
    level = np.full(400, 0.2), np.full(400, 0.1)
    rest = decoupled(0.2, 0.1, 1.0, rho)[0]
    assert changing_norm(*level, rho) == pytest.approx(rest, rel=1e-6)
    assert changing_norm(*level, rho, 0.0)[-1] == pytest.approx(rest, rel=1e-4)


def _norms_on_white_noise(
    optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter, eta: Any, generator: torch.Generator
) -> list[float]:
    """Return the mean squared norm before each step; gradients are orthogonal noise that falls as 1/r."""
    norms = []
    for step in eta:
        before = parameter.detach()
        r2 = before.square().sum(dim=1, keepdim=True)
        norms.append(float(r2.mean()))
        noise = torch.randn(before.shape, generator=generator, dtype=torch.float64)
        noise -= before * (noise * before).sum(dim=1, keepdim=True) / r2
        parameter.grad = noise / r2.sqrt()
        optimizer.param_groups[0]["lr"] = float(step)
        optimizer.step()
    return norms


def test_the_norm_of_adamw_lags_behind_a_changing_lr() -> None:
    """torch's AdamW on white noise, through a rise of the LR to twice its value."""
    walks, dim, burn, steps, b1, b2 = 192, 64, 150, 120, 0.9, 0.95
    eta = np.where(np.arange(burn + steps) < burn, 0.02, 0.04)
    lam = np.full(burn + steps, 0.25)
    generator = torch.Generator().manual_seed(5)
    w = torch.randn(walks, dim, generator=generator, dtype=torch.float64)
    at_rest = adamw(0.02, 0.25, dim, b1, b2)[0]
    parameter = torch.nn.Parameter(w * (at_rest**0.5 / w.norm(dim=1, keepdim=True)))
    optimizer = torch.optim.AdamW([parameter], lr=0.02, weight_decay=0.25, betas=(b1, b2))
    norms = _norms_on_white_noise(optimizer, parameter, eta, generator)
    path = adamw_norm(eta[burn - 1 :], lam[burn - 1 :], b1, b2)[1:-1]
    growth = np.array(norms[burn:]) / np.mean(norms[burn - 40 : burn])
    assert growth[-1] > 1.5
    # The standard error of a mean square of 12000 coordinates is 1.3 %, and the fluctuation of v is left out.
    assert growth == pytest.approx(path / path[0], rel=0.04)
    # Without the lag of v the norm would grow sooner, by more than is allowed.
    sooner = changing_norm(eta[burn - 1 :], lam[burn - 1 :], correlations(moving_average(b1))[:200])[1:-1]
    assert np.abs(growth / (sooner / sooner[0]) - 1.0).max() > 0.06


def test_the_lag_of_v_makes_the_norm_of_adamw_forget_more_slowly() -> None:
    """The rate is 2 eta lam / (1 + 2 eta lam (19 - 9)) at the averages 0.9 and 0.95, to first order."""
    eta, lam, steps = 0.02, 0.025, 2500
    change = np.concatenate([[1.01 * eta], np.full(steps, eta)]), np.full(steps + 1, lam)
    apart = adamw_norm(*change, 0.9, 0.95)[500:] - adamw_norm(np.full(1, eta), np.full(1, lam), 0.9, 0.95)[0]
    rate = -np.log(apart[2000] / apart[0]) / 2000
    lag = (2.0 * eta * lam / rate - 1.0) / (2.0 * eta * lam)
    assert lag == pytest.approx(10.0, rel=0.1)


def test_the_norm_of_lion_follows_a_changing_lr() -> None:
    """Lion on white noise, through a fall of the LR to half of its value. Its average remembers 100 steps."""
    walks, dim, burn, steps, betas = 192, 64, 500, 200, (0.9, 0.99)
    eta = np.where(np.arange(burn + steps) < burn, 0.004, 0.002)
    lam = np.full(burn + steps, 6.0)
    generator = torch.Generator().manual_seed(6)
    w = torch.randn(walks, dim, generator=generator, dtype=torch.float64)
    at_rest = lion(0.004, 6.0, dim, *betas)[0]
    parameter = torch.nn.Parameter(w * (at_rest**0.5 / w.norm(dim=1, keepdim=True)))
    optimizer = Lion([parameter], lr=0.004, weight_decay=6.0, betas=betas)
    norms = _norms_on_white_noise(optimizer, parameter, eta, generator)
    path = lion_norm(eta[burn - 1 :], lam[burn - 1 :], *betas)[1:-1]
    fall = np.array(norms[burn:]) / np.mean(norms[burn - 40 : burn])
    assert fall[-1] < 0.75
    # The standard error of a mean square of 12000 coordinates is 1.3 %.
    assert fall == pytest.approx(path / path[0], rel=0.04)
    # With the correlations of a norm that does not move, the prediction is off by more than is allowed.
    plain = changing_norm(eta[burn - 1 :], lam[burn - 1 :], lion_correlations(*betas)[:2000])[1:-1]
    assert np.abs(fall / (plain / plain[0]) - 1.0).max() > 0.06


def test_the_norm_of_lion_stays_at_equilibrium_with_constant_settings() -> None:
    level = np.full(300, 0.01), np.full(300, 0.5)
    assert lion_norm(*level, 0.9, 0.99) == pytest.approx(lion(0.01, 0.5, 1, 0.9, 0.99)[0], rel=1e-6)
