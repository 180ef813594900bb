"""lm-balance reads the size of weight decay off norms and updates whose truth is known."""

import math
from typing import Any

import numpy as np
import pytest

from ilr_check.claims.language_models import lm_balance
from ilr_check.claims.language_models.lm_balance import FLOOR, Balanced, BalancedRuns, Quantity, Updates
from ilr_check.theory.adaptive import balanced_norm, turned_by

SPEC = lm_balance.balanced("post", "muon")
NAMES = ("q.0.weight", "k.0.weight")
RUNS = 6


class Known(BalancedRuns):
    """Runs with ``decay`` times the weight decay, whose updates are those of white noise with a memory."""

    def __init__(self, spec: Balanced, decay: float) -> None:
        self.spec = self.balanced = spec
        shape = (len(NAMES), RUNS)
        rng = np.random.default_rng(0)
        a = 1.0 - decay * spec.intrinsic_lr
        length2, along, change = (np.full(shape, value) for value in (1.0, 4.5, 0.3))
        norm2 = balanced_norm(a, length2, along, change) if decay else np.full(shape, 900.0)
        tangent2 = turned_by(a, norm2, length2, along)
        # Noise whose mean over runs is 0, which pseudo-values must take in without a bias of first order.
        noise = rng.normal(size=(3, *shape))
        noise -= noise.mean(axis=-1, keepdims=True)
        self._measured = {"norm": norm2 * (1.0 + 0.01 * noise[0]), "rotation": tangent2}
        change = change if decay else length2 + 2.0 * (1.0 - spec.intrinsic_lr) * along
        self._updates = Updates(length2, along * (1.0 + 0.02 * noise[1]), change)

    def measured(self, names: Any, quantity: Quantity, n: int) -> Any:
        return self._measured[quantity]

    def updates(self, names: Any, n: int) -> Updates:
        return self._updates


@pytest.mark.parametrize("decay", [1.0, 1.05, 0.95, 2.0])
@pytest.mark.parametrize("part", lm_balance.parts(SPEC), ids=lambda part: part.what)
def test_the_size_of_weight_decay_is_read_off(part: Any, decay: float) -> None:
    found = lm_balance.sample(Known(SPEC, decay), part, RUNS)
    assert found.shape == (RUNS,)
    # Beyond first order in lr * weight_decay, the factor of the updates and the angle depend on it too.
    beyond = 4.0 * abs(decay - 1.0) * SPEC.intrinsic_lr
    assert found.mean() == pytest.approx(lm_balance.effect(part, decay), abs=beyond + 2e-4)
    margin = lm_balance.design(SPEC, part, 1e-5).margin[1]
    assert (abs(found.mean()) > 1.5 * margin) == (decay != 1.0)


def test_without_weight_decay_the_norm_is_far_from_the_balance() -> None:
    found = lm_balance.sample(Known(SPEC, 0.0), lm_balance.parts(SPEC)[0], RUNS)
    assert found.mean() > 0.2 * -math.log(FLOOR)


def test_the_balance_is_that_of_simulated_weights() -> None:
    rng = np.random.default_rng(1)
    a, w, update = 0.95, np.zeros(20_000), np.zeros(20_000)
    for _ in range(300):
        update = 0.8 * update + rng.normal(size=w.size)
        before, w = w, a * w + update
    length2, along = (np.array([x]) for x in (update @ update, before @ update))
    norm2 = balanced_norm(a, length2, along, np.array([w @ w - before @ before]))
    assert norm2 == pytest.approx(before @ before, rel=1e-10)
    cosine = before @ w / np.sqrt((before @ before) * (w @ w))
    assert turned_by(a, norm2, length2, along) == pytest.approx(1.0 / cosine**2 - 1.0, rel=1e-8)


def test_measured_steps_have_no_weight_decay_and_the_mean_stays() -> None:
    paused, plain = SPEC.decays(paused=True), SPEC.decays(paused=False)
    assert (paused[::5] == 0.0).all()
    assert paused.reshape(-1, 5).sum(axis=1) == pytest.approx(plain.reshape(-1, 5).sum(axis=1))
