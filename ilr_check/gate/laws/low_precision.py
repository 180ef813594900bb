"""Steps and decay of narrow weights agree with the reference implementation within their rounding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, decay_of, fact_reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.reference import UNIT
from ilr_check.optim.contracts.running import Array

ORDER = 29
STEPS = 4
DTYPES = ("float32", "bfloat16", "float16")
LR, WEIGHT_DECAY = 0.25, 0.5
QUIET_STEPS = 32


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the step in each dtype, and decay alone at two strengths; the dtype resolves only one of them."""
    contract = subject.contract
    assert contract is not None
    shape = (3, 4)
    hyper: dict[str, Any] = {"lr": LR}
    decays = subject.can_vary("weight_decay")
    if decays:
        hyper["weight_decay"] = WEIGHT_DECAY
    for dtype in promised(subject):
        rng = circumstances.generator(dtype)
        start = rng.uniform(0.5, 2.0, size=shape)
        drawn = probing_gradients(contract, rng, [shape], STEPS)
        # float16 has no gradients below 6e-8, and squares of gradients below 2.4e-4 are zero in it.
        gradients = [[_moderate(g) for g in row] for row in drawn]
        trajectory = record_trajectory(
            subject, [start], gradients, dtype=dtype, **{**hyper, **_eps(subject, dtype)}
        )
        yield compared(subject, trajectory, hyper, group=f"steps in {dtype}", prefix=f"in {dtype} weights, ")
        if decays and decay_of(subject).where in ("before", "after"):
            yield from _quiet(subject, dtype)


def promised(subject: Subject) -> tuple[str, ...]:
    """Return those of the dtypes that the subject is made for."""
    return tuple(dtype for dtype in DTYPES if dtype in subject.dtypes)


def _applies(subject: Subject) -> str:
    return needs("lr")(subject) or ("" if promised(subject) else "it is made for float64 weights alone")


def _moderate(gradient: Array | None) -> Array | None:
    """Return the same gradient with its entries between 0.05 and 4."""
    if gradient is None:
        return None
    return np.asarray(np.sign(gradient) * np.clip(np.abs(gradient), 0.05 * (gradient != 0), 4.0))


def _eps(subject: Subject, dtype: str) -> dict[str, Any]:
    """Return an eps that float16 has: the usual 1e-8 is zero in it, and a zero gradient then gives 0 / 0."""
    return {"eps": 2.0**-10} if dtype == "float16" and subject.can_vary("eps") else {}


def _quiet(subject: Subject, dtype: str) -> Iterable[Reading]:
    """Judge zero gradients with lr*wd of 8 and of 1/8 of the spacing at 1."""
    decay = decay_of(subject)
    start = np.ones((2, 2))
    zeros = [[np.zeros((2, 2))]] * QUIET_STEPS
    for words, spacings in (("visible", 8.0), ("below the spacing", 0.125)):
        strength = spacings * 2.0 * UNIT[dtype]
        lr = 0.25
        weight_decay = (strength / lr**decay.lr_power / abs(decay.factor)) ** (1.0 / decay.wd_power)
        hyper: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, **_eps(subject, dtype)}
        trajectory = record_trajectory(subject, [start], zeros, dtype=dtype, **hyper)
        # Some families, such as Yogi, begin with moments that are not zero and move at once.
        bare = record_trajectory(subject, [start], zeros, dtype=dtype, **{**hyper, "weight_decay": 0.0})
        lost = float((bare.steps[-1].after[0] - trajectory.steps[-1].after[0]).mean())
        meant = 1.0 - (1.0 - strength) ** QUIET_STEPS
        if words == "visible":
            # Each step rounds weights below 1 by at most half a spacing u, of a loss of 16 u a step and more
            # than half of that at the end: an eighth of the whole.
            yield fact_reading(
                abs(lost - meant) <= 0.125 * meant,
                group=f"decay {words} in {dtype}",
                message=f"{QUIET_STEPS} steps take {lost:.4g} of the weights, expected {meant:.4g}",
                diagnosis=f"in {dtype} weights {QUIET_STEPS} steps of decay take {lost:.4g}, expected "
                f"{meant:.4g}"
                + (": decay is rounded away before it reaches the weights" if lost == 0 else ""),
                n_steps=QUIET_STEPS,
                dtype=dtype,
            )
        else:
            kept = (
                f"decay rounded away: lr*wd = {strength:.3g} is below what {dtype} weights "
                f"can lose in a step (their spacing is {2 * UNIT[dtype]:.3g}), so they do not decay; "
                "keep float32 weights, or round stochastically"
            )
            yield Reading(
                group=f"decay {words} in {dtype}",
                verdict="holds",
                message=kept if lost == 0 else f"{QUIET_STEPS} steps take {lost:.3g}, expected {meant:.3g}",
                n_steps=QUIET_STEPS,
                dtype=dtype,
            )


LAW = GateLaw(
    text=law_text(
        "low-precision",
        "Narrow weights get the step of the reference implementation, as far as they can show it",
        "In float32, bfloat16 and float16 weights each step is that of the reference within rounding.",
        equation="w′ = fl(reference(w, g, …))",
        source="OneTrainer#996: lr*wd below the resolution of bfloat16 weights decays nothing",
        meaning="Hyper-parameters, factors or moments are rounded to a narrower type than they need be.",
        rivals=("1 − lr*wd rounded to the weights' dtype",),
    ),
    tier="exact",
    blind_to="errors below eight roundings of the dtype; means over stochastic rounding",
    check=check,
    milder={"exception": ("fragility", "it refuses a dtype loudly; --dtype names those it is made for")},
    applies=_applies,
)
