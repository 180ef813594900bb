"""When lr falls by k, the effective LR measured from the rotation falls by exactly k in that step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from ilr_check.claims.exact.checks.motion import Motion, motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.optim.schedules import Constant, Sequence
from ilr_check.theory.sgd import effective_lr_of_rotation
from ilr_check.theory.step_rounding import effective_lr_error
from ilr_check.train.loop import OptimizerFactory, Setting, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

TEXT = ClaimText(
    id="immediate-drop",
    title="At a drop of the learning rate the effective one falls at once",
    statement=(
        "Two runs are identical until the learning rate of one of them falls by k. In that step their "
        "effective learning rates have the exact ratio k. They are measured from the angle of the step and "
        "the gradient, not from the learning rate that was set."
    ),
    equation="effLR = a tan∠(w, w′) / (‖w‖ ‖g‖) = η/‖w‖²,  η → η/k:  effLR → effLR/k",
    source="Li, Lyu, Arora 2020, section 5; effective LR γ^(−1/2), as the paper's first reviewer corrects it",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("sqrt(k) at once", "effective LR as gamma^(+1/2)", "no drop"),
    meaning=(
        "A new learning rate does not reach the step as it should: the optimizer keeps an old one (cached, "
        "one step late, smoothed), rescales its update, or normalises the gradient so that the learning "
        "rate has another meaning."
    ),
    blind="whether the learning rate had the right size before the drop: only the ratio is judged.",
)


class LastStepDrop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting whose lr falls by ``factor`` at its last step, and not before."""

    setting: Setting
    factor: float

    def __post_init__(self) -> None:
        if not 1.0 < self.factor < math.inf:
            raise ValueError(f"factor={self.factor!r}: must be finite and above 1; lr falls by it")

    def dropped(self) -> Setting:
        """Return the setting with the drop, which equals the other in every earlier step."""
        factors = self.setting.lr_schedule.factors(self.setting.hyper.steps)
        values = (*factors[:-1], factors[-1] / self.factor)
        return msgspec.structs.replace(self.setting, lr_schedule=Sequence(values=values))


def check(example: LastStepDrop, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute |log(effLR without the drop / with it) - log k| of every group in the step of the drop."""
    worst, setting, last = Worst(), example.setting, example.setting.hyper.steps - 1
    judged = 0
    runs = (motions(run, optimizer, start=last) for run in (setting, example.dropped()))
    for kept, fallen in zip(*runs, strict=False):
        others = {motion.name: motion for motion in fallen}
        for motion in kept:
            if motion.name in others:
                judged += _judge(motion, others[motion.name], worst)
    events = () if judged else ("degenerate: the last step turns nothing that can be measured",)
    return worst.outcome(steps=last + 1, events=(*events_of(setting), *events))


def _judge(kept: Motion, fallen: Motion, worst: Worst) -> bool:
    """Judge the ratio if both rotations are more than rounding; return whether they are."""
    s, f = kept.sizes, fallen.sizes
    bound = effective_lr_error(s) + effective_lr_error(f)
    if not math.isfinite(bound):
        return False
    # From the lr that both runs were told, of which the later one is 1/k up to rounding.
    log_k = math.log(s.eta / f.eta)
    found = math.log(_effective_lr(kept) / _effective_lr(fallen))
    worst.add(found - log_k, bound, group=kept.name, step=kept.step.t)
    for name, power in zip(TEXT.rivals, (0.5, -1.0, 0.0), strict=True):
        worst.add_rival(name, found - power * log_k, bound)
    return True


def _effective_lr(motion: Motion) -> float:
    s = motion.sizes
    tangent = motion.turned * s.r / motion.inner
    return float(effective_lr_of_rotation(tangent, s.r, s.g, s.eta, s.lam))


def _examples() -> SearchStrategy[LastStepDrop]:
    import hypothesis.strategies as st

    factors = st.sampled_from((2.0, 10.0, 4.0, 100.0, 1.5))
    return st.builds(LastStepDrop, setting=settings(momentum=False), factor=factors)


def _real(profile: Profile) -> tuple[tuple[str, LastStepDrop], ...]:
    found = []
    for title, setting in digits_settings(profile, momentum=0.0):
        level = msgspec.structs.replace(setting, lr_schedule=Constant())
        found.append(
            (
                f"{title}, lr/10 after {setting.hyper.steps - 1} steps",
                LastStepDrop(setting=level, factor=10.0),
            )
        )
    return tuple(found)


LAW = ExactLaw(
    text=TEXT,
    example_type=LastStepDrop,
    examples=_examples,
    check=check,
    real=_real,
    quantity="|log(fall of the effective LR / k)| / rounding bound",
)
CLAIM = LAW.claim()
