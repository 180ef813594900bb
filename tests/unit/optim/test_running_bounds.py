"""Numbers that carry their rounding error: the bound holds in float32, and it is not far above the true
error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ilr_check.optim.contracts.running import Tracked, error_of, kept_in_single, plain

SINGLE = 2.0**-24
EXPRESSIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a sum that cancels": lambda x, y: (x + y) - x,
    "products and quotients": lambda x, y: x * y / (x * x + y * y),
    "an average": lambda x, y: 0.9 * x + (1.0 - 0.9) * y,
    "Adam's quotient": lambda x, y: x / (np.sqrt(x * x + y * y) + 1e-3),
    "a root of a difference": lambda x, y: np.sqrt(np.abs(x * x - 0.5 * y * y)),
    "a power": lambda x, y: np.abs(x) ** 7,
    "a maximum": lambda x, y: np.maximum(x, y) - np.minimum(x, y),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_float32_stays_within_the_bound_and_comes_near_it(name: str) -> None:
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=4000).astype(np.float32) for _ in range(2))
    tracked = EXPRESSIONS[name](Tracked(x, SINGLE), Tracked(y, SINGLE))
    narrow = np.asarray(EXPRESSIONS[name](x, y), dtype=np.float64)
    ratio = np.abs(narrow - plain(tracked)) / error_of(tracked)
    # One rounding for each of the constants, which are float64 in the tracked form.
    assert np.max(ratio) <= 2.0
    assert np.max(ratio) > 0.05


def test_a_sign_that_rounding_could_turn_has_no_value() -> None:
    sure = np.sign(Tracked([1.0, -2.0], SINGLE, error=0.5))
    unsure = np.sign(Tracked([1.0, 0.0], SINGLE, error=1.5))
    assert error_of(sure).tolist() == [0.0, 0.0]
    assert error_of(unsure).tolist() == [2.0, 2.0]


def test_a_quotient_by_what_may_be_zero_has_no_bound() -> None:
    assert np.isinf(error_of(1.0 / Tracked(1e-9, SINGLE, error=1e-8)))


def test_a_number_kept_in_float32_gains_its_rounding() -> None:
    assert error_of(kept_in_single(Tracked(2.0, 2.0**-53))) == 2.0 * SINGLE
