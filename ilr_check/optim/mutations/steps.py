"""Mutations that apply to every family. They change the gradient or the finished step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ilr_check.optim.contracts.contract import Contract, Hyper, Mutation, Number, State, Update
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.mutations.rounding import BFLOAT16, FLOAT32, rounded

WARM_UPS = (10, 100, 1000)
DTYPES = ((BFLOAT16, "bfloat16"), (FLOAT32, "float32"))
STATES = (
    (("m", "buffer"), "the momentum"),
    (("v",), "the second moment"),
    (("m", "v", "buffer"), "the whole state"),
)


def gradient_mutations() -> Iterator[Mutation]:
    """Yield mutations that change the gradient before the step, as optimizers also do on purpose."""
    for sentence, gradient in (
        ("the gradient of each tensor is clipped to norm 1", _clipped),
        ("the gradient of each tensor is normalised", _normalised),
        ("gradient entries are clipped to [-1, 1]", _bounded),
        ("matrices lose the mean of their gradient over each row (gradient centralisation)", _centred),
        ("only the sign of the gradient is used", np.sign),
    ):
        yield Mutation(sentence=sentence, gradient=gradient, technique=True)


def step_mutations(contract: Contract) -> Iterator[Mutation]:
    """Yield mutations that change the finished reference step or keep its state in a narrower dtype."""
    base = contract.update
    for steps in WARM_UPS:
        yield Mutation(
            sentence=f"the step grows over the first {steps} steps, a warm-up",
            update=_scaled(base, lambda w, t, steps=steps: min(1.0, t / steps)),  # type: ignore[misc]
            technique=True,
        )
    yield Mutation(
        sentence="the step depends on the tensor's shape: divided by the root of the rows of a matrix",
        update=_scaled(base, lambda w, t: 1.0 / np.sqrt(plain(w).shape[0] if plain(w).ndim > 1 else 1.0)),
    )
    yield Mutation(
        sentence="each entry of the update is clipped to [-lr, lr]",
        update=_clipped_step(base),
        technique=True,
    )
    for bits, dtype in DTYPES:
        for names, which in STATES:
            yield Mutation(sentence=f"{which} is kept in {dtype}", update=_narrow(base, names, bits))


def _norm(g: Number) -> Number:
    return np.sqrt((g * g).sum())


def _clipped(g: Number) -> Number:
    return g / np.maximum(1.0, _norm(g))


def _normalised(g: Number) -> Number:
    return g / _norm(g)


def _bounded(g: Number) -> Number:
    return np.minimum(np.maximum(g, -1.0), 1.0)


def _centred(g: Number) -> Number:
    mean = g
    for axis in range(1, plain(g).ndim):
        mean = mean.mean(axis=axis, keepdims=True)
    return g - mean if plain(g).ndim > 1 else g


def _scaled(base: Update, factor: Callable[[Number, int], float]) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        step = base(g, w, s, h, t)
        return None if step is None else factor(w, t) * step

    return update


def _clipped_step(base: Update) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        step = base(g, w, s, h, t)
        return None if step is None else h["lr"] * _bounded(step / h["lr"])

    return update


def _narrow(base: Update, names: tuple[str, ...], bits: int) -> Update:
    """Return a step that rounds its state after reading it. ``families`` has steps that round it before."""

    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        step = base(g, w, s, h, t)
        for name in names:
            if name in s:
                s[name] = rounded(s[name], bits)
        return step

    return update
