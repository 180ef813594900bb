"""Where weights and gradients share no entry, the weights that have no gradient shrink by decay alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs_decay
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import record_trajectory
from ilr_check.gate.subject import Subject

ORDER = 13
STEPS = 4
LR, WEIGHT_DECAY = 0.2, 0.3


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge two rows of weights without a gradient, and two rows of gradients on weights of zero."""
    rng = circumstances.generator()
    start = np.zeros((4, 3))
    start[:2] = rng.uniform(0.5, 2.0, size=(2, 3))
    pattern = np.zeros((4, 3))
    pattern[2, 1], pattern[3, 0] = 1.0, -1.0
    gradients = [[pattern * rng.uniform(0.5, 2.0)] for _ in range(STEPS)]
    hyper: dict[str, Any] = {"lr": LR, "weight_decay": WEIGHT_DECAY}
    trajectory = record_trajectory(subject, [start], gradients, **hyper)
    yield compared(subject, trajectory, hyper, group="orthogonal", prefix="beside an orthogonal gradient, ")


LAW = GateLaw(
    text=law_text(
        "decay-orthogonal",
        "An orthogonal gradient leaves the decay as it is",
        "Beside a gradient on other entries, the weights shrink by the contract's decay alone.",
        equation="⟨w, w′⟩ = (1 − lr·wd) ‖w‖² for ⟨g, w⟩ = 0 entry by entry",
        source="theory 1.3: the radial part of a step reads the decay",
        meaning="The size of the gradient or of the step leaks into the decay.",
    ),
    tier="exact",
    blind_to="decay on entries that have a gradient",
    check=check,
    applies=needs_decay,
)
