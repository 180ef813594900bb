"""Adam and related optimizers as rules, in the order of operations of ``torch.optim``'s single-tensor steps.

Where torch passes a Python number as ``alpha`` or ``value``, a rule has one number per run. ``add_(g,
alpha=a)`` becomes ``addcmul(x, a, g)``, ``addcmul_(g, g, value=c)`` becomes ``addcmul(x, c g, g)``, and
``addcdiv_(m, d, value=c)`` becomes ``addcdiv(x, c m, d)``. They round in the same places.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ilr_check.optim.rules import Array, Columns, Rule, State

Stepped = tuple[Tensor, State]
Coefficients = tuple[Tensor, ...]

BETAS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def _powers(base: Array) -> Array:
    """Return base ** t for t = 1, 2, ... in Python's own float64. numpy's last bit can differ."""
    steps = range(1, len(base) + 1)
    constant = (base == base[:1]).all(axis=0)
    out = np.empty_like(base)
    known: dict[float, list[float]] = {}
    for run in range(base.shape[1]):
        if constant[run]:
            value = float(base[0, run])
            if value not in known:
                known[value] = [value**t for t in steps]
            out[:, run] = known[value]
        else:
            out[:, run] = [float(value) ** t for value, t in zip(base[:, run], steps, strict=True)]
    return out


def _root(values: Array) -> Array:
    """Return values ** 0.5 as Python computes it, which is not always the nearest number to the root."""
    return np.asarray(np.frompyfunc(lambda value: value**0.5, 1, 1)(values).astype(np.float64))


def _adam_coefficients(c: Columns) -> tuple[Array, ...]:
    lr, beta1, beta2 = c["lr"], c["beta1"], c["beta2"]
    return (
        1 - lr * c["weight_decay"],
        c["weight_decay"],
        1 - beta1,
        beta2,
        1 - beta2,
        _root(1 - _powers(beta2)),
        c["eps"],
        -(lr / (1 - _powers(beta1))),
    )


def _adam(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    mean, square = _moments(g, state, c[2], c[3], c[4])
    return torch.addcdiv(w, c[7] * mean, square.sqrt() / c[5] + c[6]), (mean, square)


def _adamw(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    return _adam(w * c[0], g, state, c)


def _adam_l2(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    return _adam(w, torch.addcmul(g, c[1], w), state, c)


def _moments(g: Tensor, state: State, fresh: Tensor, keep: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    mean, square = state
    return torch.lerp(mean, g, fresh), torch.addcmul(square * keep, new * g, g)


def _rmsprop_coefficients(c: Columns) -> tuple[Array, ...]:
    return -c["lr"], c["weight_decay"], c["alpha"], 1 - c["alpha"], c["eps"], c["momentum"]


def _rmsprop(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    g = torch.addcmul(g, c[1], w)
    square = torch.addcmul(state[0] * c[2], c[3] * g, g)
    return torch.addcdiv(w, c[0] * g, square.sqrt() + c[4]), (square,)


def _rmsprop_momentum(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    g = torch.addcmul(g, c[1], w)
    square = torch.addcmul(state[0] * c[2], c[3] * g, g)
    buffer = torch.addcdiv(state[1] * c[5], g, square.sqrt() + c[4])
    return torch.addcmul(w, c[0], buffer), (square, buffer)


def _nadam_coefficients(c: Columns) -> tuple[Array, ...]:
    lr, beta1, beta2 = c["lr"], c["beta1"], c["beta2"]
    steps = np.arange(1, len(lr) + 1)[:, None]
    # Python's power is used for the same reason as in _powers.
    power = np.frompyfunc(lambda exponent: 0.96**exponent, 1, 1)
    mu = beta1 * (1.0 - 0.5 * power(steps * c["momentum_decay"]).astype(float))
    mu_next = beta1 * (1.0 - 0.5 * power((steps + 1) * c["momentum_decay"]).astype(float))
    # torch keeps the product of all mu so far in a tensor of the default dtype.
    narrow = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    product = np.multiply.accumulate(mu.astype(narrow), axis=0).astype(np.float64)
    return (
        1 - lr * c["weight_decay"],
        c["weight_decay"],
        1 - beta1,
        beta2,
        1 - beta2,
        1 - _powers(beta2),
        c["eps"],
        -lr * (1.0 - mu) / (1.0 - product),
        -lr * mu_next / (1.0 - product * mu_next),
    )


def _nadam(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    mean, square = _moments(g, state, c[2], c[3], c[4])
    root = (square / c[5]).sqrt() + c[6]
    return torch.addcdiv(torch.addcdiv(w, c[7] * g, root), c[8] * mean, root), (mean, square)


def _nadam_l2(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    return _nadam(w, torch.addcmul(g, c[1], w), state, c)


def _nadamw(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    return _nadam(w * c[0], g, state, c)


def _lion_coefficients(c: Columns) -> tuple[Array, ...]:
    beta1, beta2 = c["beta1"], c["beta2"]
    return 1 - c["lr"] * c["weight_decay"], -c["lr"], beta1, 1 - beta1, beta2, 1 - beta2


def _lion(w: Tensor, g: Tensor, state: State, c: Coefficients) -> Stepped:
    (mean,) = state
    direction = (mean * c[2] + g * c[3]).sign()
    return torch.addcmul(w * c[0], c[1], direction), (torch.addcmul(mean * c[4], c[5], g),)


_MOMENTS = ("exp_avg", "exp_avg_sq")
ADAPTIVE: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        # Loshchilov, Hutter 2019: w' = (1 - lr wd) w - lr m^ / (sqrt(v^) + eps).
        Rule("adamw", _adam_coefficients, _adamw, _MOMENTS, BETAS),
        # Kingma, Ba 2015, with wd w added to the gradient.
        Rule("adam", _adam_coefficients, _adam_l2, _MOMENTS, BETAS),
        # Tieleman, Hinton 2012. With momentum it is another program, as in torch.
        Rule("rmsprop", _rmsprop_coefficients, _rmsprop, ("square_avg",), {"alpha": 0.99, "eps": 1e-8}),
        Rule(
            "rmsprop-momentum",
            _rmsprop_coefficients,
            _rmsprop_momentum,
            ("square_avg", "momentum_buffer"),
            {"alpha": 0.99, "eps": 1e-8},
        ),
        # Dozat 2016; momentum_decay = 0 keeps the momentum at beta1 / 2.
        Rule("nadam", _nadam_coefficients, _nadam_l2, _MOMENTS, {**BETAS, "momentum_decay": 4e-3}),
        Rule("nadamw", _nadam_coefficients, _nadamw, _MOMENTS, {**BETAS, "momentum_decay": 4e-3}),
        # Chen et al. 2023.
        Rule("lion", _lion_coefficients, _lion, ("exp_avg",), {"beta1": 0.9, "beta2": 0.99}),
    )
}
