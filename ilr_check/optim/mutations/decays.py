"""Mutations that apply weight decay at the wrong time, to the wrong tensors, or in two places."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ilr_check.optim.contracts.contract import Contract, Hyper, Mutation, Number, State, Update
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.mutations.rounding import BFLOAT16, rounded

When = Callable[[Number, int], bool]
"""(weights, step) -> whether weight decay acts."""
WHENS: tuple[tuple[str, When], ...] = (
    ("weight decay acts only at odd steps", lambda w, t: t % 2 == 1),
    ("weight decay acts only at even steps", lambda w, t: t % 2 == 0),
    ("weight decay acts only on vectors, not on matrices", lambda w, t: plain(w).ndim < 2),
)


ON_MATRICES = Mutation(
    sentence="weight decay acts only on tensors of two or more axes, not on vectors",
    hyper={"decay_on": "matrices"},
)


def decay_mutations(contract: Contract) -> Iterator[Mutation]:
    """Yield the mutations of decay that acts before the step or in the gradient."""
    base, where = contract.update, contract.decay.where
    if where not in ("before", "gradient"):
        return
    beside = {"where": "before", "lr_power": 1.0}
    yield Mutation(
        sentence="weight decay acts twice, on the weights and in the gradient",
        decay=beside,
        update=_in_gradient(base, lambda w, t: True),
    )
    yield ON_MATRICES
    for sentence, when in WHENS:
        if where == "gradient":
            yield Mutation(sentence=sentence, decay={"where": "none"}, update=_in_gradient(base, when))
        else:
            yield Mutation(sentence=sentence, decay={"where": "none"}, update=_shrinking(base, when))
    if where == "gradient":
        return
    yield Mutation(
        sentence="decay is applied one step late, with the next lr",
        decay={"where": "none"},
        update=_shrinking(base, lambda w, t: t > 1),
    )
    yield Mutation(
        sentence="the decay factor 1-lr*wd is rounded to bfloat16",
        decay={"where": "none"},
        update=_with_rounded_factor(base),
    )
    yield Mutation(
        sentence="decay also shrinks the momentum buffer, by 1-lr*wd", update=_shrinking_the_buffer(base)
    )
    if contract.bias_correction:
        yield Mutation(
            sentence="decay uses the bias-corrected step size lr/(1-beta1^t) instead of lr",
            decay={"where": "none"},
            update=_by_corrected_rate(base),
        )


def _in_gradient(base: Update, when: When) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        return base(g + h["weight_decay"] * w if when(w, t) else g, w, s, h, t)

    return update


def _shrinking(base: Update, when: When) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        step = base(g, w, s, h, t)
        return step - h["lr"] * h["weight_decay"] * w if when(w, t) else step

    return update


def _with_rounded_factor(base: Update) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        factor = rounded(1.0 - float(plain(h["lr"])) * float(plain(h["weight_decay"])), BFLOAT16)
        return base(g, w, s, h, t) - (1.0 - factor) * w

    return update


def _shrinking_the_buffer(base: Update) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        for name in ("buffer", "m"):
            if name in s:
                s[name] = s[name] * (1.0 - h["lr"] * h["weight_decay"])
        return base(g, w, s, h, t)

    return update


def _by_corrected_rate(base: Update) -> Update:
    def update(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
        rate = h["lr"] / (1.0 - h["beta1"] ** t)
        return base(g, w, s, h, t) - rate * h["weight_decay"] * w

    return update
