"""The step under torch.compile agrees with the reference implementation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import Step, Trajectory, probing_gradients
from ilr_check.gate.subject import Subject

STEPS = 4
SHAPES = ((5,), (3, 4))
LR, WEIGHT_DECAY = 0.2, 0.3


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge one compilation; lr is a tensor where the target accepts one, as torch advises."""
    contract = subject.contract
    assert contract is not None
    rng = circumstances.generator()
    shapes = ((3, 4), (5, 2)) if contract.matrices_only else SHAPES
    starts = [rng.uniform(0.5, 2.0, size=shape) for shape in shapes]
    gradients = probing_gradients(contract, rng, shapes, STEPS)
    hyper: dict[str, Any] = {"lr": LR}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAY
    trial = subject.start([subject.tensor(start) for start in starts], **hyper)
    begun = trial.hyper
    compiled = torch.compile(trial.optimizer.step)
    steps = []
    for row in gradients:
        before = [subject.rounded(v) for v in trial.values()]
        trial.hand([None if gradient is None else subject.tensor(gradient) for gradient in row])
        compiled()  # type: ignore[no-untyped-call]
        steps.append(
            Step(
                hyper, [subject.rounded(g) for g in row], before, [subject.rounded(v) for v in trial.values()]
            )
        )
    # torch keeps step counts in float32, and a graph corrects biases in it: 1 - 0.999 errs by 6e-5.
    trajectory = Trajectory(
        begun, [subject.rounded(start) for start in starts], steps, ["float32"] * len(shapes)
    )
    yield compared(subject, trajectory, hyper, group="compiled", prefix="compiled: ")


LAW = GateLaw(
    text=law_text(
        "compiled-step",
        "The compiled step is that of the reference implementation",
        "torch.compile(optimizer.step) gives the steps of the reference implementation.",
        equation="compile(step) = step",
        source="torch's own compiled optimizers",
        meaning="A Python number of the step is baked into the graph, or a branch is.",
    ),
    tier="standard",
    blind_to="recompilation under schedules; errors below the rounding of float32",
    check=check,
    applies=needs("lr"),
)
