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
    title="One step limits the effective learning rate",
    statement=(
        "After a step to the weights w', the effective learning rate lr/||w'||^2 is at most 1 / (2 |1 - "
        "lr*wd| ||unit gradient||), however large the learning rate lr is, because too large a step makes "
        "the norm grow. wd is the weight decay, and the unit gradient is the gradient at the same "
        "direction with norm 1. The limit is reached where the step is as long as the decayed weights."
    ),
    equation="η/‖w′‖² ≤ 1 / (2 |1 − ηλ| ‖ḡ‖),  ḡ = ‖w‖ g",
    source="from the norm recursion by x + y ≥ 2√(xy); asked for by the paper's first reviewer (warm-up)",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("the bound halved",),
    meaning=(
        "The norm does not respond to a step as it does under SGD: the step is not lr times the gradient, "
        "the weights are projected or clipped after it, or the decay is not lr*wd."
    ),
    blind=(
        "weight decay, except through |1 - lr*wd|. Most steps stay far below the limit, so the step that "
        "must reach it decides."
    ),
)


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the excess of every step over the limit, and the distance of a step that must reach it."""
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
    """Return the effective LR after the step over its limit."""
    s = motion.sizes
    if s.g == 0.0 or s.a == 0.0:
        return 0.0  # no cap
    return s.eta / s.r_next**2 / float(effective_lr_ceiling(s.g * s.r, s.eta, s.lam))


def _bound(motion: Motion) -> float:
    """Return the rounding bound: 2 |a| eta r g <= a^2 r^2 + eta^2 g^2, which is r'^2 up to that of the
    recursion."""
    s = motion.sizes
    square = squared_norm_error(s)
    return square / s.r_next**2 + 2.0 * s.gamma(16)


def _reach(setting: Setting, optimizer: OptimizerFactory, motion: Motion, worst: Worst) -> None:
    """Take lr = ||w|| / ||g|| without decay from the same state: it must reach the limit, to second order."""
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
