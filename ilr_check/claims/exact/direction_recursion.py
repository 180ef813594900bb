"""Directions have a recursion of their own, in which only u, Phi, the batch and B appear."""

from __future__ import annotations

import numpy as np

from ilr_check.claims.exact.checks.motion import Motion, after, motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.sgd import direction_speed, direction_speed_growth, next_direction, next_direction_speed
from ilr_check.theory.step_rounding import direction_error, squared_norm_error, step_error
from ilr_check.train.loop import OptimizerFactory, Setting, one_step, torch_sgd

TEXT = ClaimText(
    id="direction-recursion",
    title="Directions follow a recursion of their own",
    statement=(
        "Let u = w/||w|| be the direction of a group and Phi = lr / ((1 - lr*wd) ||w||^2) its effective "
        "learning rate. The next direction is u minus Phi times the gradient at unit norm, normalised, and "
        "the next Phi follows from Phi and that gradient. Steps of equal Phi turn u equally, whatever the "
        "learning rate lr and the weight decay wd. So the path of u depends only on the first u, the first "
        "Phi, the factors B between successive steps, and the batches."
    ),
    equation="u′ = (u − Φḡ) / √(1 + Φ²‖ḡ‖²),  Φ′ = BΦ / (1 + Φ²‖ḡ‖²),  Φ = η/(a‖w‖²),  B = η′/(η a a′)",
    source="Li, Lyu, Arora 2020, section 2, in finite steps; the recursion of Φ as in the Exact Schedule Law",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("Phi without the a's", "B without the a's"),
    meaning=(
        "What the net computes depends on more than learning rate, weight decay and gradient in the "
        "proportions of SGD: decay that does not follow lr, a clip or an eps of fixed size, or the lr of "
        "an earlier step."
    ),
    blind=(
        "a change that leaves every direction as it is, such as rescaling the weights between steps "
        "together with lr and weight decay."
    ),
)


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the residuals of the direction, of Phi and of a step without decay, at every step."""
    worst, steps = Worst(), 0
    before: dict[str, Motion] = {}
    for moved in motions(setting, optimizer):
        for motion in moved:
            _direction(motion, worst)
            if motion.name in before:
                _speed(before[motion.name], motion, worst)
        if moved:
            _same_speed(setting, optimizer, moved, worst)
        before = {motion.name: motion for motion in moved}
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting))


def _direction(motion: Motion, worst: Worst) -> None:
    """Compare u' with the recursion; the error is the length of the difference of two unit vectors."""
    s, bound = motion.sizes, direction_error(motion.sizes)
    u, found = motion.w / s.r, motion.w_next / s.r_next
    rate = s.eta / s.r**2
    predicted = next_direction(u, motion.gradient * s.r, rate, s.a)
    worst.add(_distance(found, predicted), bound, group=motion.name, step=motion.step.t)
    rival = next_direction(u, motion.gradient * s.r, rate, 1.0)
    worst.add_rival("Phi without the a's", _distance(found, rival), bound)


def _speed(old: Motion, new: Motion, worst: Worst) -> None:
    """Compare log Phi' with the recursion; 1/Phi' is a' r'^2 / eta', so its relative error is that of
    r'^2."""
    s, n = old.sizes, new.sizes
    if min(s.eta, n.eta) <= 0.0 or s.a == 0.0 or n.a == 0.0:
        return  # Phi is 0 or infinite: that step turns nothing, or by a right angle
    phi = float(direction_speed(s.r**2, s.eta, s.lam))
    unit = (s.g * s.r) ** 2
    growth = float(direction_speed_growth(s.eta, s.lam, n.eta, n.lam))
    measured = float(direction_speed(n.r**2, n.eta, n.lam))
    predicted = float(next_direction_speed(phi, unit, growth))
    square = squared_norm_error(s)
    # a and a' are each off by 2 u64 (1 + eta lam) / |a|, a more than once; 30 roundings cover the rest.
    decays = sum((1.0 + m.eta * m.lam) / abs(m.a) for m in (s, n))
    bound = square / s.r_next**2 + s.gamma(30) + 8.0 * 2.0**-53 * decays
    worst.add(predicted / measured - 1.0, bound, group=new.name, step=new.step.t)
    rival = float(next_direction_speed(phi, unit, n.eta / s.eta))
    worst.add_rival("B without the a's", rival / measured - 1.0, bound)


def _same_speed(
    setting: Setting, optimizer: OptimizerFactory, moved: tuple[Motion, ...], worst: Worst
) -> None:
    """Compare with a step with lr / a and no decay from the same state: it has equal Phi, so it turns
    equally."""
    step = moved[0].step
    a = 1.0 - step.lr * step.weight_decay
    if a <= 0.0:
        return  # an optimizer takes no negative lr
    lr = step.lr / a
    other, _ = one_step(
        optimizer,
        setting.hyper,
        weights=step.before,
        gradient=step.gradient,
        state={},
        lr=lr,
        weight_decay=0.0,
    )
    for motion in moved:
        twin = after(motion, other, eta=lr, lam=0.0)
        if twin is None:
            continue
        s, t = motion.sizes, twin.sizes
        # Both end where SGD's exact step would, up to their own rounding; lr / a rounds 3 times, as a factor
        # on the gradient, relative to 1 / a.
        factor = 3.0 * 2.0**-53 * (1.0 + s.eta * s.lam) / a
        bound = (
            2.0 * step_error(s) / s.r_next
            + 2.0 * (step_error(t) + factor * t.eta * t.g) / t.r_next
            + 4.0 * s.gamma(8)
        )
        gap = _distance(motion.w_next / s.r_next, twin.w_next / t.r_next)
        worst.add(gap, bound, group=motion.name, step=step.t)


def _distance(u: np.ndarray, v: np.ndarray) -> float:
    return float(np.linalg.norm(u - v))


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=lambda: settings(momentum=False),
    check=check,
    real=lambda profile: (),
    quantity="|direction or speed residual| / rounding bound",
)
CLAIM = LAW.claim()
