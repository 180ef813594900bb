"""The reference implementation of a family steps several tensors, with or without its rounding bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ilr_check.optim.contracts.contract import Contract, Decay, Hyper, Mutation, Number, State
from ilr_check.optim.contracts.running import Array, Tracked, plain

NO_MUTATION = Mutation(sentence="")
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
SMALLEST = {"float64": 2.0**-1074, "float32": 2.0**-149, "bfloat16": 2.0**-133, "float16": 2.0**-24}


class ReferenceImplementation:
    """The optimizer of a contract. ``step`` takes gradients and returns weights.

    With ``dtypes``, one for each tensor, the weights are ``Tracked``: they carry a bound on how far a correct
    implementation in that arithmetic may deviate. With ``mutation`` it takes the steps of that mutation.
    """

    def __init__(
        self,
        contract: Contract,
        starts: Sequence[Array],
        hyper: Hyper,
        *,
        dtypes: Sequence[str] | None = None,
        mutation: Mutation = NO_MUTATION,
    ) -> None:
        self.contract, self.dtypes, self.mutation = contract, dtypes, mutation
        self.hyper: dict[str, Any] = {**hyper, **mutation.hyper}
        self.starts = [np.asarray(start, dtype=np.float64) for start in starts]
        self.weights: list[Number] = [self._number(start, i) for i, start in enumerate(self.starts)]
        self.states: list[State] = [{} for _ in starts]
        self.counts = [0] * len(self.starts)
        self.built_lr = self.largest_lr = float(self.hyper["lr"])
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
        """Take one step and return the weights.

        If ``weights`` is given, the step starts from it. ``hyper`` changes hyper-parameters from this step
        on.
        """
        self.hyper |= hyper
        if weights is not None:
            self.weights = [self._number(w, i) for i, w in enumerate(weights)]
        lr = float(self.hyper["lr"])
        first = lr if self.first_lr is None else self.first_lr
        last = lr if self.last_lr is None else self.last_lr
        stepped = lr if self.mutation.lr is None else self.mutation.lr(lr, last, first)
        rates = {"this step": stepped, "the step before": last, "the first step": first}
        rates["the next step"] = lr if next_lr is None else next_lr
        self.largest_lr = max(self.largest_lr, lr)
        rates["corrected by the first lr"] = lr**2 / self.built_lr if self.built_lr else 0.0
        rates["corrected by the largest lr"] = lr**2 / self.largest_lr if self.largest_lr else 0.0
        self.first_lr, self.last_lr = first, lr
        decay = self.contract.decay_for(self.hyper)
        if self.mutation.decay:
            decay = replace(decay, **self.mutation.decay)
        for i, gradient in enumerate(gradients):
            if gradient is not None:
                self.counts[i] = max(self.counts) + 1 if self.mutation.shared_count else self.counts[i] + 1
                with np.errstate(all="ignore"):
                    h = self._rounded(self._read({**self.hyper, "lr": stepped}), i)
                    self.weights[i] = self._one(i, self._number(gradient, i), h, decay, rates[decay.lr_of])
        return self.weights

    def _one(self, i: int, gradient: Number, h: Mapping[str, Any], decay: Decay, lr: float) -> Number:
        weights, t = self.weights[i], max(self.counts[i] + self.mutation.shift, 0)
        if self.mutation.gradient is not None:
            gradient = self.mutation.gradient(gradient)
        spared = self.hyper.get("decay_on") == "matrices" and plain(weights).ndim < 2
        strength = None if spared else self._strength(decay, lr, i)
        if strength is not None and decay.where == "gradient":
            gradient = gradient + strength * self._shape(decay, i)
        if strength is not None and decay.where == "before":
            shrunk = weights
            for _ in range(self.mutation.repeat):
                shape = shrunk if decay.shape == "weights" else self._shape(decay, i)
                shrunk = shrunk - strength * shape
        else:
            shrunk = weights
        update = self.mutation.update or self.contract.update
        step = update(gradient, weights, self.states[i], h, t)
        if step is None:
            return weights
        moved: Number = shrunk + step
        if strength is not None and decay.where == "after":
            shape = moved if decay.shape == "weights" else self._shape(decay, i)
            moved = moved - strength * shape
        return moved

    def _read(self, hyper: Hyper) -> Hyper:
        return hyper if self.mutation.change is None else self.mutation.change(hyper)

    def _shape(self, decay: Decay, i: int) -> Number:
        if decay.shape == "initial weights":
            return self._number(self.starts[i], i)
        return np.sign(self.weights[i]) if decay.shape == "sign of the weights" else self.weights[i]

    def _strength(self, decay: Decay, lr: float, i: int) -> Number | None:
        weight_decay = float(self.hyper.get("weight_decay") or 0.0)
        if decay.where in ("none", "own") or weight_decay == 0.0:
            return None
        lr_part = self._number(lr, i) ** decay.lr_power if decay.lr_power else 1.0
        return decay.factor * lr_part * self._number(weight_decay, i) ** decay.wd_power

    def _number(self, value: Any, i: int) -> Number:
        if isinstance(value, Tracked):  # it carries an error of its own
            return value
        value = np.asarray(value, dtype=np.float64)
        if self.dtypes is None:
            return value
        return Tracked(value, UNIT[self.dtypes[i]], tiny=SMALLEST[self.dtypes[i]])

    def _rounded(self, hyper: Mapping[str, Any], i: int) -> dict[str, Any]:
        """Return the hyper-parameters. Their numbers carry the rounding that an implementation may do.

        Python's floats are exact in float64. For narrower weights they may have been cast to float32. They
        are never cast to anything narrower, because torch keeps scalars in float32 at least.
        """
        dtype = "float64" if self.dtypes is None else self.dtypes[i]
        dtype_eps = {"dtype_eps": 2.0 * UNIT[dtype]}
        if self.dtypes is None:
            return {**hyper, **dtype_eps}
        unit = min(UNIT[dtype], UNIT["float32"])
        cast = 0.0 if dtype == "float64" else unit
        return dtype_eps | {
            key: Tracked(value, unit, error=cast * abs(value)) if isinstance(value, float) else value
            for key, value in hyper.items()
        }
