"""w → a w, g → g / a, and powers of a on lr, wd and eps scale the path by a, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ilr_check.evidence import Margin, Measured
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.trajectory import Trajectory, probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.variation import without_eps_root
from ilr_check.optim.contracts.contract import Contract
from ilr_check.optim.contracts.running import ROUNDINGS, Array
from ilr_check.optim.symmetry import Power

ORDER = 18
STEPS = 10
LR, WEIGHT_DECAY = 2.0**-3, 0.3
FACTORS = (1.0, 1.0, 0.5, 0.3, 1.7, 1.0, 0.1, 0.7, 0.2, 1.0)
EPS = 2.0**-7
"""eps is large, so that a wrong power of it shows."""


OF_FIXED_SIZE = ("added_to_variance", "norm_bound")


def applies(subject: Subject) -> str:
    """Return why the law is not judged: no symmetry, or an argument that cannot be set."""
    reason = needs("lr")(subject)
    if reason or subject.contract is None:
        return reason
    if subject.contract.symmetry is None:
        return "the family has no such symmetry"
    fixed = [name for name in OF_FIXED_SIZE if subject.declared.get(name)]
    if fixed:
        return f"{fixed[0]} is declared, a constant that does not scale"
    missing = [
        n for n in subject.contract.symmetry.arguments if n != "weight_decay" and not subject.can_vary(n)
    ]
    return f"{' and '.join(missing)} cannot be set" if missing else ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge a = 2 and a = 1/8 for each setting."""
    subject = without_eps_root(subject)
    contract = subject.contract
    assert contract is not None
    for setting in subject.settings:
        rng = circumstances.generator(str(setting))
        shape = (3, 4)
        start = rng.normal(size=shape)
        # SAM steps away from the weights and comes back, which rounds them; no constant is hidden in that.
        share = STEPS * ROUNDINGS * subject.unit if subject.needs_closure else 0.0
        room = share * float(np.abs(start).max())
        gradients = probing_gradients(contract, rng, [shape], STEPS)
        one = _scaled(subject, contract, setting, start, gradients, 0)
        for k in (1, -3):
            other = _scaled(subject, contract, setting, start, gradients, k)
            off = [
                float(np.max(np.abs(b.after[0] - 2.0**k * a.after[0])))
                for a, b in zip(one.steps, other.steps, strict=True)
            ]
            bad = next((t for t, size in enumerate(off) if not size <= room * 2.0**k), None)
            relative = max(off) / float(np.abs(start).max()) / 2.0**k
            powers = ", ".join(f"{n}: {p}" for n, p in _powers(subject, contract, setting).items())
            yield Reading(
                group=f"a=2^{k}, {subject.words(setting)}",
                verdict="holds" if bad is None else "violated",
                quantity="largest deviation relative to the weights",
                measured=Measured(value=relative if math.isfinite(relative) else None),
                expected=0.0,
                margin=Margin(low=0.0, high=share),
                message=f"powers of a: {powers}; "
                + (f"{STEPS} steps agree" if bad is None else f"first deviation at step {bad + 1}"),
                diagnosis=""
                if bad is None
                else (
                    f"weights scaled by 2^{k} with {powers} leave the scaled path at step {bad + 1}: "
                    + _guess(subject, contract, setting, start, gradients, one, k)
                ),
                n_steps=2 * STEPS,
            )


def _powers(subject: Subject, contract: Contract, setting: Mapping[str, Any]) -> dict[str, int]:
    """Return the powers of a under what was declared, set, or fixed by the user's arguments."""
    assert contract.symmetry is not None
    powers = _plain(contract.symmetry.arguments)
    hyper = subject.start([_ones()], **setting).hyper
    place = str(hyper.get("eps_place", "outside"))
    if place.startswith("inside") and place != "inside, squared" and "eps" in powers:
        powers["eps"] = -2
    if hyper.get("decoupled_weight_decay") is not None or "decay" in hyper or "decay_law" in hyper:
        decay = contract.decay_for(hyper)
        step = powers.get("lr", 0)
        if decay.where in ("before", "after"):
            powers["weight_decay"] = int(-decay.lr_power * step / decay.wd_power)
        elif decay.where == "gradient":
            powers["weight_decay"] = -2
    return powers


def _scaled(
    subject: Subject,
    contract: Contract,
    setting: Mapping[str, Any],
    start: Array,
    gradients: list[list[Any]],
    k: int,
    **changed: int,
) -> Trajectory:
    powers = {**_powers(subject, contract, setting), **changed}
    hyper: dict[str, Any] = {**setting, "lr": LR}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAY
    if "eps" in powers and "eps" not in setting:
        hyper["eps"] = EPS
    assert contract.symmetry is not None
    begun = {n: v for n, v in subject.start([_ones()], **hyper).hyper.items() if n in powers}
    # What is 0 and cannot be set stays 0 at every power.
    needed = {n: v for n, v in begun.items() if v is not None and (v != 0.0 or subject.can_vary(n))}
    hyper = {**needed, **hyper}
    base: dict[str, Any] = {
        n: v * 2.0 ** (k * powers.get(n, 0)) if isinstance(v, float) else v for n, v in hyper.items()
    }
    early = _first_phase(contract, {**begun, **hyper, **subject.start([_ones()], **hyper).hyper})
    schedule = []
    for t in range(STEPS):
        now = {**powers, **_plain(contract.symmetry.first_phase if t < early else {})}
        rates = {"lr": LR * FACTORS[t] * 2.0 ** (k * now.get("lr", 0))}
        if subject.can_schedule("weight_decay"):
            rates["weight_decay"] = WEIGHT_DECAY * 2.0 ** (k * now.get("weight_decay", 0))
        schedule.append(rates)
    scaled = [[g * 2.0**-k for g in row] for row in gradients]
    if not subject.can_schedule("lr"):
        return record_trajectory(subject, [start * 2.0**k], scaled, **base)
    return record_trajectory(subject, [start * 2.0**k], scaled, schedule=schedule, **base)


def _plain(powers: Mapping[str, Power]) -> dict[str, int]:
    """Return the powers of arguments that are single numbers."""
    return {name: power for name, power in powers.items() if isinstance(power, int)}


def _ones() -> Any:
    return torch.ones(2, 2)


def _first_phase(contract: Contract, hyper: Mapping[str, Any]) -> float:
    """Return the number of steps before the later phase; RAdam's begins when rho_t > 5."""
    if contract.symmetry is None or not contract.symmetry.first_phase:
        return 0
    b2 = float(hyper["beta2"])
    limit = 2.0 / (1.0 - b2) - 1.0
    t = 1
    while t <= STEPS and limit - 2.0 * t * b2**t / (1.0 - b2**t) <= 5.0:
        t += 1
    return t - 1


def _guess(
    subject: Subject,
    contract: Contract,
    setting: Mapping[str, Any],
    start: Array,
    gradients: list[list[Any]],
    one: Trajectory,
    k: int,
) -> str:
    """Name another power that makes the paths agree."""
    right = _powers(subject, contract, setting)
    for name in right:
        for power in (-2, -1, 0, 1, 2):
            if power == right[name]:
                continue
            other = _scaled(subject, contract, setting, start, gradients, k, **{name: power})
            if all(
                np.array_equal(b.after[0], 2.0**k * a.after[0])
                for a, b in zip(one.steps, other.steps, strict=True)
            ):
                return f"{name} has the power {power}, expected {right[name]}"
    return "no single other power repairs it, so a constant of fixed size is hidden in the step"


LAW = GateLaw(
    text=law_text(
        "scaling-symmetry",
        "The family's scaling symmetry, bit for bit",
        "With w times a, g over a, and the powers of a on lr, wd and eps, every step is a times itself.",
        equation="w → a w, lr → aᵖ lr, wd → a^q wd, eps → aʳ eps",
        source="theory 4.1: exact, and bitwise for powers of two",
        meaning="lr, wd or eps enters with another power, or a constant is hidden in the step.",
        rivals=("another power of lr, wd or eps",),
    ),
    tier="exact",
    blind_to="anything that depends on lr*wd alone: a decay of another size with the right powers passes",
    check=check,
    applies=applies,
)
