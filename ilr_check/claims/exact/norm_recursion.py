"""r'^2 = (1 - lr wd)^2 r^2 + lr^2 ||g||^2 at every step of plain SGD, with any schedule of lr and wd."""

from __future__ import annotations

import math

from torch import Tensor

from ilr_check.claims.exact.checks.motion import bounded_steps
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.full_size import full_size_settings
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.rounding import norm_recursion_bound
from ilr_check.theory.sgd import decay_factor, next_squared_norm
from ilr_check.train.loop import OptimizerFactory, Setting, torch_sgd

TEXT = ClaimText(
    id="norm-recursion",
    title="The norm follows its recursion exactly",
    statement=(
        "At every SGD step the squared norm of the weights is multiplied by (1 - lr*wd)^2 and grows by "
        "lr^2 ||g||^2, where lr is the learning rate, wd the weight decay and g the gradient."
    ),
    equation="‖w′‖² = (1 − ηλ)² ‖w‖² + η² ‖g‖²",
    source="Li, Lyu, Arora 2020, section 2; Pythagoras, since ⟨g, w⟩ = 0",
    kind="exact",
    chapter="exact",
    groups=("core", "exact"),
    rivals=("a instead of a^2", "decay after the step"),
    meaning=(
        "The optimizer does not compute w - lr*(g + wd*w): weight decay is missing, applied twice, at "
        "another moment or with another learning rate; or the group is not scale-invariant."
    ),
    blind=(
        "momentum, for which the claim is not stated; and changes of the gradient that keep its length and "
        "its right angle to the weights."
    ),
)


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the residual of the recursion for every group and step, in units of its rounding bound."""
    worst, steps = Worst(), 0
    for step, bounds in bounded_steps(setting, optimizer):
        state = (step.before, step.gradient, step.after)
        for group, inner_bound in bounds.items():
            r2, g2, next_r2 = (_norm2(tensors, group.names) for tensors in state)
            bound = float(
                norm_recursion_bound(
                    r=math.sqrt(r2),
                    g=math.sqrt(g2),
                    eta=step.lr,
                    lam=step.weight_decay,
                    inner_product_bound=inner_bound,
                    count=sum(step.before[name].numel() for name in group.names),
                    dtype=setting.dtype,
                )
            )
            expected = float(next_squared_norm(r2, g2, step.lr, step.weight_decay))
            worst.add(next_r2 - expected, bound, group="+".join(group.names), step=step.t)
            a = float(decay_factor(step.lr, step.weight_decay))
            grown = step.lr**2 * g2
            worst.add_rival("a instead of a^2", next_r2 - (a * r2 + grown), bound)
            worst.add_rival("decay after the step", next_r2 - a**2 * (r2 + grown), bound)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting))


def _norm2(tensors: dict[str, Tensor], names: tuple[str, ...]) -> float:
    return sum(float(tensors[name].double().square().sum()) for name in names)


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=lambda: settings(momentum=False),
    check=check,
    real=lambda profile: (
        *digits_settings(profile, momentum=0.0),
        *full_size_settings(profile, momentum=0.0),
    ),
    quantity="|norm residual| / rounding bound",
)
CLAIM = LAW.claim()
