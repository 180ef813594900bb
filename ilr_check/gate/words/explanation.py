"""Explain why a trajectory left its reference: try mutations until one fits every step within rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ilr_check.evidence import RivalOutcome
from ilr_check.gate.reference.trajectory import Deviation, Trajectory, deviation
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.contract import (
    CORRECTIONS,
    DECAY_VARIATIONS,
    Contract,
    Decay,
    Mutation,
)
from ilr_check.optim.mutations import mutations_of
from ilr_check.optim.mutations.decays import ON_MATRICES

NAMELESS = "no known mutation of the reference implementation explains all steps"
"""A diagnosis with numbers but without a cause ends like this."""
CLOSE = 1e-3
"""A relative difference below which two sizes are written as one size and their difference."""
ARITHMETICS = {"float32": (2.0**-26, 2.0**-19), "bfloat16": (2.0**-10, 2.0**-4)}
"""Relative differences that some roundings in an arithmetic leave, from a quarter of a unit to 32 units."""

LR_MUTATIONS = (
    Mutation(sentence="the step uses the lr of the step before", lr=lambda now, last, first: last),
    Mutation(sentence="the step uses the lr of the first step for ever", lr=lambda now, last, first: first),
    Mutation(sentence="the step is proportional to lr^2", lr=lambda now, last, first: now * now),
    Mutation(sentence="the step has the wrong sign: it climbs", lr=lambda now, last, first: -now),
    Mutation(sentence="the step is half as large as it should be", lr=lambda now, last, first: 0.5 * now),
    Mutation(sentence="the step is twice as large as it should be", lr=lambda now, last, first: 2.0 * now),
    Mutation(sentence="the step does not move the weights at all", lr=lambda now, last, first: 0.0),
)


def explanation(
    trajectory: Trajectory, contract: Contract, found: Deviation
) -> tuple[Mutation | None, tuple[RivalOutcome, ...]]:
    """Return the first mutation that explains every step within rounding, and what became of the others.

    A mutation is tried on the tensor that deviates worst, and on the others only if it explains that one.
    """
    alone = trajectory.only(found.tensor)
    tried: list[RivalOutcome] = []
    explaining: Mutation | None = None
    for mutation in candidate_mutations(trajectory, contract):
        with np.errstate(all="ignore"):
            fits = mutation.shared_count or deviation(alone, contract, mutation).ratio <= 1.0
            whole = deviation(trajectory, contract, mutation) if fits else found
            # A bound without end fits any steps and explains none.
            fits = whole.ratio <= 1.0 and math.isfinite(whole.widest)
        tried.append(RivalOutcome(name=mutation.sentence, expected=None, excluded=not fits))
        if fits:
            explaining = mutation
            break
    return explaining, tuple(tried)


CONVENTIONS = (
    *("eps_place", "lr_place", "momentum_form", "buffer_start", "sign_of", "trust_ratio", "eta_of"),
    *(
        "first_phase",
        "rho_threshold",
        "scale_parameter",
        "relative_step",
        "decay_on",
        "ratio_at_zero",
        "ratio_used",
        "ratio_below",
        "momentum_schedule",
        "vectors",
    ),
    *(
        "betas_are",
        "clip",
        "clip_counts",
        "debias",
        "first_decay",
        "first_gradient",
        "mask_scale",
        "norm_bound",
        "no_prox",
    ),
    *("added_to_variance", "decay_by", "eps_in_variance", "rate", "ratio_eps"),
)
"""Variations that documented optimizers have. Missing bias correction is none of them: it changes the first
steps by up to 1 / sqrt(1 - beta2), and whoever means it declares it."""


INSTEAD_OF = {"momentum_schedule": "momentum_decay"}
"""Conventions of optimizers that lack a hyper-parameter; one that has it ignores it."""
CONVENTIONS_OF_DECAY = ("decay=after", *(f"decay_law={formula}*wd" for formula in CORRECTIONS.values()))
"""Declarations about weight decay that documented optimizers make."""


def declaration_of(mutation: Mutation, contract: Contract) -> dict[str, Any]:
    """Return what to declare so that the contract is the mutation; empty where nothing can be declared."""
    if len(mutation.decay) == 1 and not mutation.hyper:
        if mutation.decay.get("where") == "after":
            return {"decay": "after"}
        if mutation.decay.get("lr_of") in CORRECTIONS:
            return {"decay_law": f"{CORRECTIONS[mutation.decay['lr_of']]}*wd"}
    plain = Mutation(sentence=mutation.sentence, hyper=mutation.hyper)
    if not mutation.hyper or plain != mutation:
        return {}
    found = dict(mutation.hyper)
    allowed = {**contract.variations, "decay_on": DECAY_VARIATIONS["decay_on"]}
    return found if all(key in allowed and value in allowed[key] for key, value in found.items()) else {}


def is_convention(declared: Mapping[str, Any], subject: Subject) -> bool:
    """Return whether documented optimizers like this one make this declaration."""
    if any(subject.can_vary(INSTEAD_OF[key]) for key in declared if key in INSTEAD_OF):
        return False
    return bool(declared) and all(
        key in CONVENTIONS or f"{key}={value}" in CONVENTIONS_OF_DECAY for key, value in declared.items()
    )


def candidate_mutations(trajectory: Trajectory, contract: Contract) -> Iterator[Mutation]:
    """Yield the mutations of the contract at these hyper-parameters, those of decay first."""
    decay = contract.decay_for(trajectory.hyper)
    decays = any(
        step.hyper.get("weight_decay", trajectory.hyper.get("weight_decay")) for step in trajectory.steps
    )
    if decays and decay.where in ("before", "gradient") and all(s.ndim < 2 for s in trajectory.starts):
        yield ON_MATRICES  # vectors alone cannot tell it from no decay at all, which matrices will show
    if decays and decay.where != "own":
        yield from decay_law_mutations(decay)
    yield from (
        mutation
        for mutation in contract.mutations
        if any(trajectory.hyper.get(k) != v for k, v in mutation.hyper.items()) or mutation.shift
    )
    yield from LR_MUTATIONS
    yield from mutations_of(contract)


def decay_law_mutations(decay: Decay) -> Iterator[Mutation]:
    """Yield the mutations of weight decay, each named by its measured law."""
    expected = f"expected {decay.law}" if decay.where != "gradient" else "expected wd in the gradient"
    decoupled = {"where": "before", "lr_power": 1.0, "wd_power": 1.0, "factor": 1.0}
    if decay.where != "none":
        yield Mutation(sentence="weight decay has no effect", decay={"where": "none"})
    if decay.where == "gradient":
        yield Mutation(
            sentence="weight decay is decoupled (the weights shrink by lr*wd), expected in the gradient",
            decay=decoupled,
        )
    else:
        yield Mutation(
            sentence=f"weight decay is added to the gradient (L2), {expected} outside of it",
            decay={"where": "gradient", "lr_power": 0.0},
        )
    if decay.where == "before":
        yield Mutation(sentence="decay is applied after the step", decay={"where": "after"})
        yield Mutation(
            sentence="decay is applied after the step with the next lr",
            decay={"where": "after", "lr_of": "the next step"},
        )
    if decay.where == "after":
        yield Mutation(
            sentence="decay is applied before the step, declared after it", decay={"where": "before"}
        )
    base = decay.lr_power
    for lr_power in (0.0, 1.0, 2.0, 0.5):
        for wd_power in (1.0, 2.0, 0.5, 0.0):
            if (lr_power, wd_power) != (base, decay.wd_power):
                mutated = Decay(where=decay.where, lr_power=lr_power, wd_power=wd_power)
                in_gradient = " in the gradient" if decay.where == "gradient" else " per step"
                yield Mutation(
                    sentence=f"weight decay{in_gradient} is {mutated.law}, {expected}",
                    decay={"lr_power": lr_power, "wd_power": wd_power},
                )
    for factor, words in ((0.5, "half"), (2.0, "twice"), (-1.0, "minus"), (3.0, "three times")):
        yield Mutation(
            sentence=f"weight decay is {words} what it should be, {factor:g}*{decay.law or 'wd'}",
            decay={"factor": factor * decay.factor},
        )
    for lr_of in ("the step before", "the first step", "the next step"):
        if decay.lr_power:
            yield Mutation(sentence=f"weight decay uses the lr of {lr_of}", decay={"lr_of": lr_of})
    if decay.where in ("before", "after") and decay.lr_of == "this step":
        for lr_of, formula in CORRECTIONS.items():
            yield Mutation(
                sentence=f"weight decay is corrected, it is {formula}*wd, {expected}", decay={"lr_of": lr_of}
            )
    yield Mutation(
        sentence="weight decay is L1: it takes lr*wd*sign(w)", decay={"shape": "sign of the weights"}
    )
    yield Mutation(sentence="weight decay acts on the initial weights", decay={"shape": "initial weights"})


def measured_fact(trajectory: Trajectory, found: Deviation) -> str:
    """Describe the worst entry where no mutation explains it."""
    step = trajectory.steps[found.step]
    before = float(step.before[found.tensor].flat[found.entry])
    moved, meant = found.measured - before, found.expected - before
    told = f"step {found.step + 1} moved an entry from {before:.6g} by {two_sizes(moved, meant)}"
    return f"{told}; {NAMELESS}"


def two_sizes(moved: float, meant: float) -> str:
    """Return two sizes in words, or their relative difference where both would look alike."""
    if not meant or not math.isfinite(moved / meant):
        return f"{moved:.6g}, expected {meant:.6g}"
    apart = abs(moved / meant - 1.0)
    if apart < CLOSE:
        told = f"{meant:.6g} up to a relative difference of {apart:.2g}, more than rounding allows"
        return told + looks_like(apart)
    if not moved:
        return f"0, expected {meant:.6g}: it did not move"
    way = "the other way, " if moved / meant < 0.0 else ""
    return f"{moved:.6g}, expected {meant:.6g}: {way}{abs(moved / meant):.4g} times as much"


def looks_like(apart: float) -> str:
    """Return what a relative difference of this size usually comes from; empty where nothing is known."""
    found = (name for name, (low, high) in ARITHMETICS.items() if low <= apart <= high)
    name = next(found, "")
    return f"; this looks like {name} arithmetic, --tag arithmetic={name} if it is meant" if name else ""
