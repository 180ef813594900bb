"""Steps from one state and gradient, with and without weight decay, differ by the decay alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, decay_of, law_text, needs_decay, ratio_reading
from ilr_check.gate.reference.trajectory import probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.contract import Decay
from ilr_check.optim.contracts.reference import UNIT
from ilr_check.optim.contracts.running import ROUNDINGS, Array

ORDER = 14
WARM = 3
"""These steps without decay fill the state."""
LR, WEIGHT_DECAY = 0.13, 0.31


def applies(subject: Subject) -> str:
    """Return why the law is not judged: decay does not stand beside the gradient."""
    reason = needs_decay(subject)
    if reason or subject.contract is None:
        return reason
    where = decay_of(subject).where
    return "" if where in ("before", "after") else "decay goes through the step, so that it has no own part"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Yield one reading; it needs no reference implementation."""
    contract = subject.contract
    assert contract is not None
    rng = circumstances.generator()
    shape = (3, 4)
    start = rng.uniform(0.5, 2.0, size=shape)
    gradients = probing_gradients(contract, rng, [shape], WARM + 1)
    without: list[dict[str, Any]] = [{"lr": LR, "weight_decay": 0.0}] * (WARM + 1)
    decayed: list[dict[str, Any]] = [*without[:WARM], {"lr": LR, "weight_decay": WEIGHT_DECAY}]
    plain, other = (
        record_trajectory(subject, [start], gradients, schedule=schedule, **schedule[0])
        for schedule in (without, decayed)
    )
    before = plain.steps[-1].before[0]
    after, after_decayed = plain.steps[-1].after[0], other.steps[-1].after[0]
    decay = contract.decay_for(plain.hyper)
    strength = LR**decay.lr_power * WEIGHT_DECAY**decay.wd_power * decay.factor
    shrinking = before if decay.where == "before" else after
    # Both steps round weights and steps to the last bit a few times each.
    size = np.abs(before) + np.abs(after - before)
    bound = 2 * ROUNDINGS * UNIT[subject.dtype] * size
    deviation = (after_decayed - after) - (-strength * shrinking)
    ratio = float(np.max(np.abs(deviation) / bound))
    share = float(np.sum((after - after_decayed) * before) / np.sum(before * before))
    late = float(np.sum((after - after_decayed) * after) / np.sum(after * after))
    facts = f"the difference is {share:.6g} of the weights before the step and {late:.6g} of those after it"
    diagnosis = ""
    if ratio > 1.0:
        diagnosis = _diagnosis(after - after_decayed, before, after, strength, bound, decay.law) or facts
    yield ratio_reading(
        ratio,
        group="with and without decay",
        message=f"{facts}; expected {strength:.6g} of the weights {decay.where} it",
        diagnosis=diagnosis,
        n_steps=2 * (WARM + 1),
        subject={"lr": LR, "weight_decay": WEIGHT_DECAY},
    )


def _diagnosis(lost: Array, before: Array, after: Array, strength: float, bound: Array, law: str) -> str:
    """Say which multiple of which weights was lost, where one fits within the bound."""
    if np.all(np.abs(lost) <= bound):
        return f"weight decay has no effect, expected {law}"
    for weights, words in ((before, "before"), (after, "after")):
        share = float(np.sum(lost * weights) / np.sum(weights * weights))
        if np.all(np.abs(lost - share * weights) <= 2 * bound):
            for sign, p, q in product((1.0, -1.0), (0.0, 0.5, 1.0, 1.5, 2.0), (0.5, 1.0, 2.0)):
                fitted = Decay(where="before", lr_power=p, wd_power=q, factor=sign)
                if abs(share - sign * LR**p * WEIGHT_DECAY**q) <= 1e-12:
                    return f"weight decay is {fitted.law} of the weights {words} the step, expected {law}"
            return f"weight decay is {share / strength:.6g} times {law}, of the weights {words} the step"
    return ""


LAW = GateLaw(
    text=law_text(
        "decay-difference",
        "With minus without decay is the decay",
        "From the same state and gradient, a step with decay differs from one without by the decay alone.",
        equation="w′(wd) − w′(0) = −lr·wd·w",
        source="peft#3296; independent of any reference implementation",
        meaning="Decay goes through the gradient or its moments, or has another size.",
        rivals=("decay after the step", "decay in the gradient"),
    ),
    tier="exact",
    blind_to="everything but decay; decay inside of the step",
    check=check,
    applies=applies,
)
