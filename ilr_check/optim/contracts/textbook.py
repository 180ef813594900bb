"""A family's textbook step over several tensors, with or without its rounding bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ilr_check.optim.contracts.contract import Contract, Decay, Hyper, Number, Slip, State
from ilr_check.optim.contracts.running import Array, Tracked

NO_SLIP = Slip(sentence="")


class Textbook:
    """The contract's own optimizer: hand it gradients, read the weights.

    With ``unit`` (a unit roundoff) the weights are ``Tracked`` and carry the bound on what an implementation
    in that arithmetic may deviate by. ``slip`` makes it step as a near-miss does.
    """

    def __init__(
        self,
        contract: Contract,
        starts: Sequence[Array],
        hyper: Hyper,
        *,
        unit: float | None = None,
        tiny: float = 0.0,
        slip: Slip = NO_SLIP,
    ) -> None:
        self.contract, self.unit, self.tiny, self.slip = contract, unit, tiny, slip
        self.hyper: dict[str, Any] = {**hyper, **slip.hyper}
        self.starts = [np.asarray(start, dtype=np.float64) for start in starts]
        self.weights: list[Number] = [self._number(start) for start in self.starts]
        self.states: list[State] = [{} for _ in starts]
        self.counts = [0] * len(self.starts)
        self.first_lr: float | None = None
        self.last_lr: float | None = None

    def step(
        self,
        gradients: Sequence[Array | None],
        *,
        weights: Sequence[Array] | None = None,
        next_lr: float | None = None,
        **hyper: Any,
    ) -> list[Number]:
        """One step; ``weights`` sets the weights first, ``hyper`` changes hyper-parameters from here on."""
        self.hyper |= hyper
        if weights is not None:
            self.weights = [self._number(np.asarray(w, dtype=np.float64)) for w in weights]
        lr = float(self.hyper["lr"])
        first = lr if self.first_lr is None else self.first_lr
        last = lr if self.last_lr is None else self.last_lr
        stepped = lr if self.slip.lr is None else self.slip.lr(lr, last, first)
        rates = {"this step": stepped, "the step before": last, "the first step": first}
        rates["the next step"] = lr if next_lr is None else next_lr
        self.first_lr, self.last_lr = first, lr
        decay = self.contract.decay_for(self.hyper)
        if self.slip.decay:
            decay = replace(decay, **self.slip.decay)
        h = self._tracked({**self.hyper, "lr": stepped})
        for i, gradient in enumerate(gradients):
            if gradient is not None:
                self.counts[i] += 1
                with np.errstate(all="ignore"):
                    self.weights[i] = self._one(i, self._number(gradient), h, decay, rates[decay.lr_of])
        return self.weights

    def _one(self, i: int, gradient: Number, h: Mapping[str, Any], decay: Decay, lr: float) -> Number:
        weights, t = self.weights[i], max(self.counts[i] + self.slip.shift, 0)
        strength = self._strength(decay, lr)
        if strength is not None and decay.where == "gradient":
            gradient = gradient + strength * self._shape(decay, i)
        if strength is not None and decay.where == "before":
            shrunk = weights - strength * self._shape(decay, i)
        else:
            shrunk = weights
        moved: Number = shrunk + self.contract.update(gradient, weights, self.states[i], h, t)
        if strength is not None and decay.where == "after":
            shape = moved if decay.shape == "weights" else self._shape(decay, i)
            moved = moved - strength * shape
        return moved

    def _shape(self, decay: Decay, i: int) -> Number:
        if decay.shape == "initial weights":
            return self._number(self.starts[i])
        return np.sign(self.weights[i]) if decay.shape == "sign of the weights" else self.weights[i]

    def _strength(self, decay: Decay, lr: float) -> Number | None:
        weight_decay = float(self.hyper.get("weight_decay") or 0.0)
        if decay.where in ("none", "own") or weight_decay == 0.0:
            return None
        lr_part = self._number(lr) ** decay.lr_power if decay.lr_power else 1.0
        return decay.factor * lr_part * self._number(weight_decay) ** decay.wd_power

    def _number(self, value: Any) -> Number:
        value = np.asarray(value, dtype=np.float64)
        return value if self.unit is None else Tracked(value, self.unit, tiny=self.tiny)

    def _tracked(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers among the hyper-parameters, as an implementation may have rounded them."""
        if self.unit is None:
            return dict(hyper)
        rounded = self.unit if self.unit > 2.0**-53 else 0.0
        return {
            key: Tracked(value, self.unit, error=rounded * abs(value)) if isinstance(value, float) else value
            for key, value in hyper.items()
        }
