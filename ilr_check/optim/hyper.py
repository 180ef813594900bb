"""The hyper-parameters of one run as a value."""

from __future__ import annotations

import math

import msgspec


class HyperParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one training run, with the names of ``torch.optim.SGD``.

    ``weight_decay`` is torch's coefficient: w <- w - lr (g + weight_decay w). ``init_scale`` multiplies the
    initial weights. ``seed`` decides the initial weights and the order of the batches. Raises ``ValueError``
    for a value out of range.
    """

    lr: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    batch_size: int = 32
    steps: int = 1
    init_scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _number("lr", self.lr, 0.0, math.inf)
        _number("weight_decay", self.weight_decay, 0.0, math.inf)
        _number("momentum", self.momentum, 0.0, 1.0, open_end=True)
        _number("dampening", self.dampening, 0.0, 1.0)
        _whole("batch_size", self.batch_size, 1)
        _whole("steps", self.steps, 0)
        _whole("seed", self.seed, 0)
        if not 0 < self.init_scale < math.inf:
            raise ValueError(f"init_scale={self.init_scale!r}: must be positive and finite")
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                f"nesterov=True with momentum={self.momentum}, dampening={self.dampening}: "
                "needs momentum > 0 and dampening = 0"
            )

    @property
    def intrinsic_lr(self) -> float:
        """The intrinsic learning rate lambda_e = lr * weight_decay, per step (Li, Lyu, Arora 2020)."""
        return self.lr * self.weight_decay


def _number(name: str, value: float, low: float, high: float, *, open_end: bool = False) -> None:
    inside = low <= value < high if open_end else low <= value <= high
    if not math.isfinite(value) or not inside:
        raise ValueError(
            f"{name}={value!r}: must be a finite number within [{low:g}, {high:g}{')' if open_end else ']'}"
        )


def _whole(name: str, value: int, low: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name}={value!r}: must be a whole number, at least {low}")
