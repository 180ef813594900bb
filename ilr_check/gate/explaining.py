"""Why a walk left its textbook: near-misses are tried until one explains every step within rounding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ilr_check.evidence import RivalOutcome
from ilr_check.gate.walk import Deviation, Walk, deviation
from ilr_check.optim.contracts.contract import Contract, Decay, Slip
from ilr_check.optim.near_misses import near_misses

LR_SLIPS = (
    Slip(sentence="the step uses the lr of the step before", lr=lambda now, last, first: last),
    Slip(sentence="the step uses the lr of the first step for ever", lr=lambda now, last, first: first),
    Slip(sentence="the step is proportional to lr^2", lr=lambda now, last, first: now * now),
    Slip(sentence="the step has the wrong sign: it climbs", lr=lambda now, last, first: -now),
    Slip(sentence="the step is half as large as it should be", lr=lambda now, last, first: 0.5 * now),
    Slip(sentence="the step is twice as large as it should be", lr=lambda now, last, first: 2.0 * now),
    Slip(sentence="the step does not move the weights at all", lr=lambda now, last, first: 0.0),
)


def explanation(walked: Walk, contract: Contract, found: Deviation) -> tuple[str, tuple[RivalOutcome, ...]]:
    """The sentence of the first near-miss that the walk agrees with, and what became of the others.

    A near-miss is tried on the tensor that deviates worst, and on the others only if it explains that one.
    """
    alone = walked.only(found.tensor)
    tried: list[RivalOutcome] = []
    sentence = ""
    for slip in slips(walked, contract):
        with np.errstate(all="ignore"):
            fits = slip.shared_count or deviation(alone, contract, slip).ratio <= 1.0
            fits = fits and deviation(walked, contract, slip).ratio <= 1.0
        tried.append(RivalOutcome(name=slip.sentence, expected=None, excluded=not fits))
        if fits:
            sentence = slip.sentence
            break
    return sentence, tuple(tried)


def slips(walked: Walk, contract: Contract) -> Iterator[Slip]:
    """Near-misses of the contract at these hyper-parameters, decay first."""
    decay = contract.decay_for(walked.hyper)
    decays = any(step.hyper.get("weight_decay", walked.hyper.get("weight_decay")) for step in walked.steps)
    if decays and decay.where != "own":
        yield from decay_slips(decay)
    yield from (
        slip
        for slip in contract.slips
        if any(walked.hyper.get(k) != v for k, v in slip.hyper.items()) or slip.shift
    )
    yield from LR_SLIPS
    yield from near_misses(contract)


def decay_slips(decay: Decay) -> Iterator[Slip]:
    """What goes wrong with weight decay, each named by its measured law."""
    expected = f"expected {decay.law}" if decay.where != "gradient" else "expected wd in the gradient"
    decoupled = {"where": "before", "lr_power": 1.0, "wd_power": 1.0, "factor": 1.0}
    if decay.where != "none":
        yield Slip(sentence="weight decay has no effect", decay={"where": "none"})
    if decay.where == "gradient":
        yield Slip(
            sentence="weight decay is decoupled (the weights shrink by lr*wd), expected in the gradient",
            decay=decoupled,
        )
    else:
        yield Slip(
            sentence=f"weight decay is added to the gradient (L2), {expected} outside of it",
            decay={"where": "gradient", "lr_power": 0.0},
        )
    if decay.where == "before":
        yield Slip(sentence="decay is applied after the step", decay={"where": "after"})
        yield Slip(
            sentence="decay is applied after the step with the next lr",
            decay={"where": "after", "lr_of": "the next step"},
        )
    if decay.where == "after":
        yield Slip(sentence="decay is applied before the step, declared after it", decay={"where": "before"})
    base = decay.lr_power
    for lr_power in (0.0, 1.0, 2.0, 0.5):
        for wd_power in (1.0, 2.0, 0.5, 0.0):
            if (lr_power, wd_power) != (base, decay.wd_power):
                slipped = Decay(where=decay.where, lr_power=lr_power, wd_power=wd_power)
                in_gradient = " in the gradient" if decay.where == "gradient" else " per step"
                yield Slip(
                    sentence=f"weight decay{in_gradient} is {slipped.law}, {expected}",
                    decay={"lr_power": lr_power, "wd_power": wd_power},
                )
    for factor, words in ((0.5, "half"), (2.0, "twice"), (-1.0, "minus"), (3.0, "three times")):
        yield Slip(
            sentence=f"weight decay is {words} what it should be, {factor:g}*{decay.law or 'wd'}",
            decay={"factor": factor * decay.factor},
        )
    for lr_of in ("the step before", "the first step", "the next step"):
        if decay.lr_power:
            yield Slip(sentence=f"weight decay uses the lr of {lr_of}", decay={"lr_of": lr_of})
    yield Slip(sentence="weight decay is L1: it takes lr*wd*sign(w)", decay={"shape": "sign of the weights"})
    yield Slip(sentence="weight decay acts on the initial weights", decay={"shape": "initial weights"})


def measured_fact(walked: Walk, found: Deviation) -> str:
    """What was seen at the worst entry, where no near-miss explains it."""
    step = walked.steps[found.step]
    before = float(step.before[found.tensor].flat[found.entry])
    moved, meant = found.measured - before, found.expected - before
    share = f", {moved / meant:.6g} times that" if meant else ""
    return (
        f"step {found.step + 1} moved an entry from {before:.6g} by {moved:.9g}, "
        f"expected {meant:.9g}{share}; no near-miss of the textbook explains all steps"
    )
