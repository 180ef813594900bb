"""After any step at the same lr the effective LR is at most 1 / (2 |1 - lr wd| ||unit gradient||)."""

from __future__ import annotations

import math

from ilr_check.claims.exact.checks.motion import RANGE, Motion, after, motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.sgd import effective_lr_ceiling
from ilr_check.theory.step_rounding import squared_norm_error
from ilr_check.train.loop import OptimizerFactory, Setting, one_step, torch_sgd

TEXT = ClaimText(
    id="first-step-bound",
    title="One step caps the effective LR",
    statement=(
        "After a step the effective LR lr/||w'||^2 is at most 1/(2 |1 - lr*wd| ||unit gradient||), however "
        "large lr is: too large a first step inflates the norm. The cap is reached where the step is as long "
        "as the weights that it leaves."
    ),
    equation="η/‖w′‖² ≤ 1 / (2 |1 − ηλ| ‖ḡ‖),  ḡ = ‖w‖ g",
    source="from the norm recursion by x + y ≥ 2√(xy); asked for by the paper's first reviewer (warm-up)",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("the bound halved",),
    meaning=(
        "The norm does not answer to a step as SGD's does: the step is not lr times the gradient, the "
        "weights are projected or clipped after it, or decay differs from lr*wd."
    ),
    blind=(
        "weight decay, except through |1 - lr*wd|; and most steps stay far below the cap, so the step "
        "that must reach it decides."
    ),
)


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Excess of every step over the cap, and the distance from it of a step that must reach it."""
    worst, steps = Worst(), 0
    for moved in motions(setting, optimizer):
        for motion in moved:
            alpha, bound = _share(motion), _bound(motion)
            worst.add(max(0.0, alpha - 1.0), bound, group=motion.name, step=motion.step.t)
            worst.add_rival("the bound halved", max(0.0, 2.0 * alpha - 1.0), bound)
        if moved:
            _reach(setting, optimizer, moved[steps % len(moved)], worst)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting))


def _share(motion: Motion) -> float:
    """The effective LR after the step over its cap."""
    s = motion.sizes
    if s.g == 0.0 or s.a == 0.0:
        return 0.0  # no cap
    return s.eta / s.r_next**2 / float(effective_lr_ceiling(s.g * s.r, s.eta, s.lam))


def _bound(motion: Motion) -> float:
    """2 |a| eta r g <= a^2 r^2 + eta^2 g^2, which is r'^2 up to the bound of the norm recursion."""
    s = motion.sizes
    square = squared_norm_error(s)
    return square / s.r_next**2 + 2.0 * s.gamma(16)


def _reach(setting: Setting, optimizer: OptimizerFactory, motion: Motion, worst: Worst) -> None:
    """From the same state, lr = ||w|| / ||g|| without decay must reach the cap: rounding is second order."""
    s = motion.sizes
    lr = s.r / s.g if s.g > RANGE[0] else math.inf
    largest = 1e30  # lr and the step of this group have to be float32 numbers
    if not 1.0 / largest <= lr <= largest:
        return
    step, names = motion.step, motion.names
    other, _ = one_step(
        optimizer,
        setting.hyper,
        weights={name: step.before[name] for name in names},
        gradient={name: step.gradient[name] for name in names},
        state={},
        lr=lr,
        weight_decay=0.0,
    )
    twin = after(motion, other, eta=lr, lam=0.0)
    if twin is not None:
        alpha, bound = _share(twin), _bound(twin)
        worst.add(alpha - 1.0, bound, group=motion.name, step=motion.step.t)
        worst.add_rival("the bound halved", 2.0 * alpha - 1.0, bound)


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=lambda: settings(momentum=False),
    check=check,
    real=lambda profile: (),
    quantity="excess over the cap / rounding bound",
)
CLAIM = LAW.claim()
