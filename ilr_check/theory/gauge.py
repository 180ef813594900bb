"""Other learning rates and weight decays that give the same directions. The norm can be chosen freely at
every step, like a gauge in physics."""

from __future__ import annotations

import math
from typing import Any


def gauge_rates(eta: float, lam: float, c: float, c_next: float) -> tuple[float, float]:
    """Return (eta~, lam~) with which w~ = c w steps to w~' = c' w'.

    eta~ = c c' eta and 1 - eta~ lam~ = (c' / c) (1 - eta lam), for plain SGD on a scale-invariant loss. This
    is LA20, Lemma 2.4, with any rescaling in between.
    """
    eta_new = c * c_next * eta
    return eta_new, (1.0 - (c_next / c) * (1.0 - eta * lam)) / eta_new


def growth_factor(eta: float, lam: float, mu: float) -> float:
    """Return alpha, the larger root of x^2 - (1 + mu - eta lam) x + mu = 0 (LA20).

    Without momentum it is 1 - eta lam. Constant learning rate and weight decay with momentum are equivalent
    to the growing learning rate eta alpha^(-2t-1) without decay. Raises ``ValueError`` if the roots are
    complex: eta lam must be at most (1 - sqrt(mu))^2.
    """
    limit = (1.0 - math.sqrt(mu)) ** 2
    if not eta * lam <= limit:
        raise ValueError(f"eta lam = {eta * lam!r} with mu = {mu!r}: must be at most {limit:.6g}")
    if mu == 0.0:
        # Where eta lam is nearly 1, the square root below would lose half of the digits.
        return 1.0 - eta * lam
    # 1 - alpha is the smaller root of y^2 - (1 - mu + eta lam) y + eta lam = 0. It is small, and this form
    # has no cancellation.
    middle = 1.0 - mu + eta * lam
    return 1.0 - 2.0 * eta * lam / (middle + math.sqrt(max(0.0, middle**2 - 4.0 * eta * lam)))


def corrected_buffer(buffer: Any, weights: Any, eta: float, alpha: float) -> Any:
    """Return alpha v - (1 - alpha) w / eta, which is alpha^(1-t) times the buffer of the run without decay.

    The arguments may be any arrays. The start v = 0 of a run with decay becomes -(1 - alpha) w_0 / (eta
    alpha) (LA20, section 2.3).
    """
    return alpha * buffer - (1.0 - alpha) * weights / eta
