"""Without weight decay the norm never falls: r'^2 = r^2 + lr^2 ||g||^2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ilr_check.claims.exact.checks.motion import motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.sgd import next_squared_norm
from ilr_check.theory.step_rounding import squared_norm_error
from ilr_check.train.loop import OptimizerFactory, Setting, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="monotone-norm",
    title="Without weight decay the norm never falls",
    statement=(
        "With weight decay 0 every SGD step adds lr^2 ||g||^2 to the squared norm of the weights, where lr "
        "is the learning rate and g the gradient, and subtracts nothing."
    ),
    equation="λ = 0:  ‖w′‖² = ‖w‖² + η² ‖g‖² ≥ ‖w‖²",
    source="Li, Lyu, Arora 2020, section 2; Arora, Li, Lyu 2019 (auto-tuning by batch normalisation)",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("weight decay of 1e-6",),
    meaning=(
        "Something shrinks the weights although weight decay is off: a default that is not 0, a decay that "
        "the optimizer keeps from an earlier value, a projection or a clip of the weights; or lr does not "
        "reach the step."
    ),
    blind="everything about weight decay, which is off.",
)

TINY_DECAY = 1e-6


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the residual of the sum, and the fall of the norm if there is one, in units of the bound."""
    worst, steps = Worst(), 0
    for moved in motions(setting, optimizer):
        for motion in moved:
            s = motion.sizes
            about: dict[str, Any] = {"group": motion.name, "step": motion.step.t}
            bound = squared_norm_error(s)
            r2, g2, next_r2 = s.r**2, s.g**2, s.r_next**2
            worst.add(next_r2 - float(next_squared_norm(r2, g2, s.eta, 0.0)), bound, **about)
            worst.add(min(0.0, next_r2 - r2), bound, **about)
            rival = float(next_squared_norm(r2, g2, s.eta, TINY_DECAY))
            worst.add_rival("weight decay of 1e-6", next_r2 - rival, bound)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting))


def _examples() -> SearchStrategy[Setting]:
    def without_decay(setting: Setting) -> Setting:
        return msgspec.structs.replace(
            setting, hyper=msgspec.structs.replace(setting.hyper, weight_decay=0.0)
        )

    return settings(momentum=False).map(without_decay)


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="|norm residual| / rounding bound",
)
CLAIM = LAW.claim()
