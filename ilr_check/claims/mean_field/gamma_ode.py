"""The norm follows its recursion through warm-up, drop and decay of the LR, given the noise of other runs."""

from __future__ import annotations

from functools import partial

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.course import CourseQuestion, Phase, ScheduledTraining
from ilr_check.claims.settings.subjects import CLEAN, subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="gamma-ode",
    title="Other runs' noise predicts the norm through a schedule",
    statement=(
        "Let G^2 be the squared gradient at unit norm, measured on other runs. The recursion of the norm "
        "then predicts the weight norm of the judged runs through warm-up, a drop and a linear decay of the "
        "learning rate."
    ),
    equation="dγ/dt = −4λₑγ + 2G²,  γ = ‖w‖⁴/η²",
    source="Li, Lyu, Arora 2020, Theorem 5.1; in discrete time and for any schedule",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("rate 2 lambda_e", "rate 8 lambda_e"),
    meaning=(
        "The norm is not driven by weight decay and gradient noise at the rates that lr and weight decay of "
        "each step set. A schedule reaches one of the two terms only, or the decay has another power of lr."
    ),
    blind=(
        "a gradient that is off by one factor in the judged runs and in the noise references, the other runs "
        "whose gradient noise is measured: the size of the gradient is measured there and not predicted."
    ),
)

_PHASES = (
    Phase(steps=300, start=0.0, end=1.0),
    Phase(steps=300),
    Phase(steps=900, start=0.2, end=0.2),
    Phase(steps=500, start=0.2, end=0.0),
)


def courses(profile: Profile, seed: int) -> list[ScheduledTraining]:
    """Return the reference net on digits with label noise 0.5; beyond ``quick`` also other nets."""
    through = partial(ScheduledTraining, phases=_PHASES)
    found = subjects(TEXT.id, profile, seed, beside=("GroupNorm CNN", "BatchNorm, batch 128"))
    if profile != "quick":
        found += (CLEAN,)
    return [through(**s._asdict()) for s in found]


LAW = CourseQuestion(
    text=TEXT,
    courses=courses,
    rivals=lambda course: (course.log_ideal(0.5), course.log_ideal(2.0)),
    caption=(
        "Warm-up, a drop by 5 and a linear decay to 0. The line is predicted by the recursion of the norm "
        "from the gradient noise of other runs."
    ),
).law()
CLAIM = LAW.claim()
