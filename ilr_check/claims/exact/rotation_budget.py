"""The rotation of a whole run is the sum of -log(1 - lr wd) plus the logarithm of the growth of the norm."""

from __future__ import annotations

import math

import numpy as np

from ilr_check.claims.exact.checks.motion import Motion, motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.full_size import full_size_settings
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.sgd import rotation_budget
from ilr_check.theory.step_rounding import log_cosine_error
from ilr_check.train.loop import OptimizerFactory, Setting, torch_sgd

TEXT = ClaimText(
    id="rotation-budget",
    title="Total rotation is integrated lr*wd plus growth of the norm",
    statement=(
        "Over any stretch of training, the sum of -log cos of the angles of all steps is the sum of -log(1 "
        "- lr*wd) plus the logarithm of the growth of the norm, where lr is the learning rate and wd the "
        "weight decay."
    ),
    equation="Σₜ −log|cos θₜ| = −Σₜ log|1 − ηₜλₜ| + log(‖w_T‖ / ‖w₀‖)",
    source="sum of cos θ = (1 − ηλ)‖w‖/‖w′‖ over a run; Li, Lyu, Arora 2020, section 2",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("without the boundary term",),
    meaning=(
        "Somewhere in the run weight decay was not applied as lr*wd*w, or was applied to other weights "
        "than those from which the step started; or the weights were moved outside the optimizer."
    ),
    blind=(
        "the length of the gradient's part of a step: anything orthogonal to the weights keeps the sum, so "
        "a clipped or normalised gradient keeps it too."
    ),
)


class Stretch:
    """Steps of one group since its cosine was last rounding: the measured rotation, and the expected one."""

    def __init__(self) -> None:
        self.start, self.rotation, self.bound = 0.0, 0.0, 0.0
        self.eta: list[float] = []
        self.lam: list[float] = []

    def add(self, motion: Motion, error: float) -> float:
        """Add one step; return the residual of the sum so far."""
        s = motion.sizes
        if not self.eta:
            self.start = s.r
        self.eta.append(s.eta)
        self.lam.append(s.lam)
        self.rotation -= math.log(abs(motion.inner) / (s.r * s.r_next))
        self.bound += error
        budget = rotation_budget(self.start, s.r_next, np.array(self.eta), np.array(self.lam))
        return self.rotation - float(budget)


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the residual of the sum from the start to every step of the run, for every group.

    Where the cosine is rounding (lr*wd = 1 turns by a right angle) the logarithm says nothing, so the sum
    starts anew after that step. ``Stretch.bound`` adds up the errors of the steps; its gamma_n covers both
    sums.
    """
    worst, steps, cut = Worst(), 0, False
    stretches: dict[str, Stretch] = {}
    for moved in motions(setting, optimizer):
        seen = {motion.name for motion in moved}
        stretches = {name: stretch for name, stretch in stretches.items() if name in seen}
        for motion in moved:
            error = log_cosine_error(motion.sizes)
            if not math.isfinite(error) or motion.inner == 0.0:
                stretches.pop(motion.name, None)
                cut = True
                continue
            stretch = stretches.setdefault(motion.name, Stretch())
            residual = stretch.add(motion, error)
            worst.add(residual, stretch.bound, group=motion.name, step=motion.step.t)
            boundary = math.log(motion.sizes.r_next / stretch.start)
            worst.add_rival("without the boundary term", residual + boundary, stretch.bound)
        steps += 1
    events = ("degenerate: a right angle cuts the sum",) if cut else ()
    return worst.outcome(steps=steps, events=(*events_of(setting), *events))


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=lambda: settings(momentum=False),
    check=check,
    real=lambda profile: (
        *digits_settings(profile, momentum=0.0),
        *full_size_settings(profile, momentum=0.0),
    ),
    quantity="|rotation less budget| / rounding bound",
)
CLAIM = LAW.claim()
