"""cos(w, w') = (1 - lr wd) ||w|| / ||w'|| at every step of plain SGD, and the sine of the same angle."""

from __future__ import annotations

import math
from typing import Any

from ilr_check.claims.exact.checks.motion import motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.full_size import full_size_settings
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.sgd import rotation_cosine, rotation_sine
from ilr_check.theory.step_rounding import cosine_error, sine_error
from ilr_check.train.loop import OptimizerFactory, Setting, torch_sgd

TEXT = ClaimText(
    id="angle-identity",
    title="The angle of an SGD step is known exactly",
    statement=(
        "An SGD step from the weights w to w' turns them by an angle with cosine (1 - lr*wd) ||w|| / "
        "||w'|| and sine lr ||g|| / ||w'||, where lr is the learning rate, wd the weight decay and g the "
        "gradient. This needs no model of the noise and no equilibrium."
    ),
    equation="cos∠(w, w′) = (1 − ηλ) ‖w‖ / ‖w′‖,  sin∠(w, w′) = η ‖g‖ / ‖w′‖",
    source="Li, Lyu, Arora 2020, section 2, made exact; Wan, Zhu, Zhang, Sun 2021 (angular update)",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("sqrt(2 lambda_e) taken as exact", "arccos(1 - lambda_e) taken as exact"),
    meaning=(
        "The step is not w - lr*(g + wd*w). Weight decay is missing, has another size or acts at another "
        "moment; or lr does not reach the step; or the gradient was changed on the way (clipped, "
        "normalised, averaged)."
    ),
    blind="whether the gradient that the optimizer receives is right; the claim uses it as it is.",
)


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the residuals of cosine and sine for every group and step, in units of their rounding
    bounds."""
    worst, steps = Worst(), 0
    for moved in motions(setting, optimizer):
        for motion in moved:
            s = motion.sizes
            cosine, bound = motion.inner / (s.r * s.r_next), cosine_error(s)
            predicted = float(rotation_cosine(s.r, s.r_next, s.eta, s.lam))
            about: dict[str, Any] = {"group": motion.name, "step": motion.step.t}
            worst.add(cosine - predicted, bound, **about)
            sine = float(rotation_sine(s.r_next, s.g, s.eta))
            worst.add(motion.turned / s.r_next - sine, sine_error(s), **about)
            intrinsic = s.eta * s.lam
            rivals = (math.cos(math.sqrt(2.0 * intrinsic)), 1.0 - intrinsic)
            for name, rival in zip(TEXT.rivals, rivals, strict=True):
                worst.add_rival(name, cosine - rival, bound)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting))


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=lambda: settings(momentum=False),
    check=check,
    real=lambda profile: (
        *digits_settings(profile, momentum=0.0),
        *full_size_settings(profile, momentum=0.0),
    ),
    quantity="|cosine or sine residual| / rounding bound",
)
CLAIM = LAW.claim()
