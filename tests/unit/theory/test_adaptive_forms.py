"""Equilibria of adaptive optimizers against a walk on the sphere with the optimizers of torch themselves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ilr_check.optim.lion import Lion
from ilr_check.theory.adaptive import (
    adam_l2,
    adam_l2_drop,
    adamw,
    adamw_without_correlation,
    correlations,
    decoupled_drop,
    lion,
    moving_average,
    nadamw,
)

WALKS, DIM, G = 64, 128, 1.0


def simulated(make: Callable[[list[Any]], Any], steps: int, start: float) -> tuple[float, float]:
    """E r^2 and E cos per step, averaged over the second half of independent walks."""
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
        adamw(ETA, LAM, DIM, B1),
        lambda p: torch.optim.AdamW(p, lr=ETA, weight_decay=LAM, betas=(B1, B2)),
    ),
    "NAdam, decoupled": (
        nadamw(ETA, LAM, DIM, B1),
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
    # O(1 - beta2) = 2 % from the fluctuation of v, and eta lam / (1 - beta2) = 10 % of that again.
    assert measured == pytest.approx(norm2, rel=0.03)
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
