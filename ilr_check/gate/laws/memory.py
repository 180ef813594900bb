"""The impulse response of the step shows the memory of one gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.evidence import Figure, Series
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs, with_figure
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 16
STEPS = 8
LRS = (0.25, 0.25, 0.25, 0.1, 0.1, 0.4, 0.4, 0.4)


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge one gradient at the first or third step, and zeros elsewhere, for every setting."""
    rng = circumstances.generator()
    start = rng.uniform(0.5, 2.0, size=(3, 3))
    gradient = np.eye(3)[rng.permutation(3)] * rng.choice((-1.0, 1.0), size=3)
    schedule = [{"lr": lr} for lr in LRS]
    for setting in subject.settings:
        hyper: dict[str, Any] = {**setting, "lr": LRS[0]}
        if subject.can_vary("weight_decay"):
            hyper["weight_decay"] = 0.0
        for at, words in ((0, "first"), (2, "third")):
            gradients = [[gradient if t == at else 0.0 * gradient] for t in range(STEPS)]
            trajectory = record_trajectory(subject, [start], gradients, schedule=schedule, **hyper)
            group = f"gradient at the {words} step, {subject.words(setting)}"
            reading = compared(subject, trajectory, hyper, group=group, prefix="after one gradient, ")
            response = np.array([np.abs(trajectory.moved(t)).max() / LRS[t] for t in range(STEPS)])
            figure = Figure(
                name="memory",
                title=f"Impulse response, {group}",
                x_label="step",
                y_label="size of the step / lr",
                series=(
                    Series(
                        name="measured",
                        kind="points",
                        role="measured",
                        x=np.arange(1.0, STEPS + 1),
                        y=response,
                    ),
                ),
            )
            yield with_figure(reading, figure) if reading.verdict == "violated" else reading


LAW = GateLaw(
    text=law_text(
        "memory",
        "One gradient is remembered as the family does",
        "After a single gradient the following steps are those of the reference, also under a changing lr.",
        equation="u_t = h_t g, the family's kernel",
        source="theory 4.3: the kernel decides the equilibrium; P11: what an lr drop does to the buffer",
        meaning="The momentum starts, averages or fades otherwise, or lr stands inside of the buffer.",
        rivals=("(1-momentum)*g", "(1-dampening)*g at the start", "lr inside the buffer"),
    ),
    tier="exact",
    blind_to="how several gradients mix",
    check=check,
    applies=needs("lr"),
)
