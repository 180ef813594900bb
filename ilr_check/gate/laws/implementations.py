"""Every implementation switch that the target offers keeps the contract when it is used alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ilr_check.gate.built import demand_built
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import (
    Step,
    Trajectory,
    deviation,
    probing_gradients,
    record_trajectory,
)
from ilr_check.gate.subject import Subject, SubjectError

ORDER = 22
SHAPES = ((5,), (3, 4), (2, 2, 3))
SWITCHES: dict[str, Mapping[str, Any]] = {
    "for loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "maximize": {"maximize": True},
    "foreach and maximize": {"foreach": True, "maximize": True},
    "fused and maximize": {"fused": True, "maximize": True},
}
LRS = (0.3, 0.11, 0.17, 0.05)
WEIGHT_DECAY = 0.2


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each switch alone, maximize with each under negated gradients, and at last lr as a tensor."""
    contract = subject.contract
    assert contract is not None
    rng = circumstances.generator()
    shapes = ((3, 4), (2, 2)) if contract.matrices_only else SHAPES
    starts = [rng.normal(size=shape) for shape in shapes]
    gradients = probing_gradients(contract, rng, shapes, len(LRS))
    hyper: dict[str, Any] = {"lr": LRS[0]}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAY
    schedule = [{"lr": lr} for lr in LRS] if subject.can_schedule("lr") else None
    for name, arguments in offered(subject).items():
        switched = subject.with_switches(**arguments)
        trajectory = record_trajectory(switched, starts, gradients, schedule=schedule, **hyper)
        reading = compared(switched, trajectory, hyper, group=name, prefix=f"{name}: ")
        ignored = "maximize" in arguments and reading.verdict == "violated"
        if ignored and deviation(_negated(trajectory), contract).ratio <= 1.0:
            reading = dataclasses.replace(reading, diagnosis=f"{name}: maximize is ignored, so it descends")
        yield reading
    if _takes_tensor_lr(subject):
        lr = torch.tensor(LRS[0], dtype=torch.float64)
        trajectory = record_trajectory(subject, starts, gradients, schedule=schedule, **{**hyper, "lr": lr})
        yield compared(subject, trajectory, hyper, group="tensor lr", prefix="lr as a tensor: ")


def offered(subject: Subject) -> dict[str, Mapping[str, Any]]:
    """Return the switches in the target's signature that its constructor accepts here."""
    if subject.taken is None:
        return {}
    found = {}
    for name, arguments in SWITCHES.items():
        if subject.differentiable and not arguments.keys() <= {"maximize"}:
            continue  # Autograd records neither list operations nor fused kernels.
        if all(word in subject.taken and word not in subject.args for word in arguments):
            try:
                demand_built(subject.with_switches(**arguments))
            except SubjectError:
                continue
            found[name] = arguments
    return found


def _takes_tensor_lr(subject: Subject) -> bool:
    try:
        subject.build([torch.nn.Parameter(torch.ones(2, 2))], lr=torch.tensor(0.1))
    except SubjectError:
        return False
    return subject.taken is not None and isinstance(subject.factory, type)


def _negated(trajectory: Trajectory) -> Trajectory:
    """Return the trajectory of an optimizer that climbs and gets negated gradients."""
    steps = [
        Step(s.hyper, [None if g is None else np.asarray(-g) for g in s.gradients], s.before, s.after)
        for s in trajectory.steps
    ]
    return Trajectory(trajectory.hyper, trajectory.starts, steps, trajectory.dtypes)


LAW = GateLaw(
    text=law_text(
        "implementations",
        "Every implementation keeps the contract",
        "foreach, fused, the loop, maximize and an lr that is a tensor each give the textbook's steps.",
        equation="w′ = textbook(w, ±g, …) under every switch",
        source="kozistr/pytorch_optimizer#519, FlagGems#4988: one path decays, another does not",
        meaning="One code path does something else: see which, and the near-miss that it follows.",
    ),
    tier="exact",
    blind_to="devices other than the one it runs on; compiled steps",
    check=check,
    applies=needs("lr"),
)
