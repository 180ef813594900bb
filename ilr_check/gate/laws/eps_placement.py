"""Gradients near eps show its place: beside the root, inside it, or before the correction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 17
STEPS = 4
EPS = 1e-3


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the family has no eps."""
    reason = needs("lr")(subject)
    if reason or subject.contract is None:
        return reason
    if "eps" not in subject.contract.names or subject.contract.matrices_only:
        return "the family has no eps that a small gradient would show"
    return ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge gradients from a hundredth to a hundred times eps, for eps of 1e-3 and the target's own."""
    rng = circumstances.generator()
    decades = 10.0 ** np.linspace(-2, 2, 6).reshape(2, 3)
    start = rng.uniform(0.5, 2.0, size=(2, 3))
    signs = [rng.choice((-1.0, 1.0), size=(2, 3)) * rng.uniform(0.5, 1, size=(2, 3)) for _ in range(STEPS)]
    own = float(subject.start([torch.ones(2, 2)], lr=0.1).hyper["eps"])
    cases: list[tuple[str, dict[str, float], float]] = []
    if subject.can_vary("eps") and not subject.drops("eps"):
        cases.append((f"eps={EPS}", {"eps": EPS}, EPS))
    if 1e-12 <= own < EPS:
        cases.append((f"its own eps={own:g}", {}, own))
    for group, given, eps in cases:
        hyper: dict[str, Any] = {"lr": 0.1, **given}
        if subject.can_vary("weight_decay"):
            hyper["weight_decay"] = 0.0
        gradients = [[eps * decades * sign] for sign in signs]
        trajectory = record_trajectory(subject, [start], gradients, **hyper)
        yield compared(subject, trajectory, hyper, group=group, prefix="around eps, ")


LAW = GateLaw(
    text=law_text(
        "eps-placement",
        "eps stands where the family has it",
        "For gradients from eps/100 to 100 eps the steps are those of the reference implementation.",
        equation="m̂ / (√v̂ + ε)",
        source="theory 4.1: the place of eps decides its exponent",
        meaning="eps is inside of the root, before the bias correction, a floor, hidden or ignored.",
        rivals=("inside the root", "before the correction", "no eps"),
    ),
    tier="exact",
    blind_to="gradients far above eps",
    check=check,
    applies=applies,
)
