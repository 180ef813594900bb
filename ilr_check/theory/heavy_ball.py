"""One step of heavy-ball SGD with weight decay on a scale-invariant loss. The relations are exact and need no
noise model.

The form is that of torch: b' = mu b + g + lam w, w' = w - eta b'. c_t stands for <w_{t+1}, w_t>.
"""

from __future__ import annotations


def next_inner_product(
    *, r2: float, inner: float, mu: float, eta: float, eta_before: float, lam: float
) -> float:
    """Return c_t = (1 + mu' - eta lam) r_t^2 - mu' c_{t-1} with mu' = mu eta_t / eta_{t-1}, exact because <g,
    w> = 0.

    Wan, Zhu, Zhang, Sun 2021 give its mean at constant hyper-parameters, cos = 1 - eta lam / (1 + mu).
    ``inner`` is c_{t-1}, and ``eta_before`` must not be 0.
    """
    carried = mu * eta / eta_before
    return (1.0 + carried - eta * lam) * r2 - carried * inner


def next_inner_product_from_buffer(*, r2: float, along: float, mu: float, eta: float, lam: float) -> float:
    """Return c_t = r_t^2 - eta (mu <b_t, w_t> + lam r_t^2), which also holds after a step of learning rate 0.

    ``along`` is <b_t, w_t>.
    """
    return r2 - eta * (mu * along + lam * r2)


def has_complex_roots(*, mu: float, eta: float, lam: float) -> bool:
    """Return whether x^2 - (1 + mu - eta lam) x + mu has complex roots, so that the norm oscillates while it
    decays."""
    return (1.0 + mu - eta * lam) ** 2 < 4.0 * mu
