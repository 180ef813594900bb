"""Under the usual schedules the effective LR lags behind the equilibrium of the current LR."""

from __future__ import annotations

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.course import CourseQuestion, Phase, ScheduledTraining
from ilr_check.claims.settings.subjects import BESIDE, DIGITS
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="schedule-law",
    title="Along schedules the norm lags behind equilibrium as predicted",
    statement=(
        "Given the gradient noise of other runs, the recursion of the norm predicts the effective LR, "
        "lr / ||w||^2, along warm-up with linear decay, cosine and step schedules. The norm lags by "
        "1/(4 lambda_e) steps, lambda_e = lr * weight_decay, and stands still where the LR goes to 0. There "
        "the effective LR follows lr and not sqrt(lr)."
    ),
    equation="r⁴(t) = e^(−4λE) r⁴(0) + 2∫ η² G² e^(−4λ(E−E(s))) ds,  E = ∫ η",
    source="Li, Lyu, Arora 2020, Theorem 5.1 with time-varying LR; asked by reviewers 1 and 2",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("quasi-static equilibrium", "rate 2 lambda_e", "rate 8 lambda_e"),
    meaning=(
        "The LR of the scheduler does not reach both the gradient step and the weight decay of the same "
        "step, or it reaches one of them a step late or with another power."
    ),
    blind=(
        "a gradient that is off by one factor in the judged runs and in the noise references, the other runs "
        "whose gradient noise is measured: the size of the gradient is measured there and not predicted."
    ),
)

_SCHEDULES = {
    "warm-up and linear decay": (
        Phase(steps=250, start=0.0, end=1.0),
        Phase(steps=1000, start=1.0, end=0.0),
    ),
    "cosine": (Phase(steps=1000, start=1.0, end=0.0, shape="cosine"),),
    "steps": (Phase(steps=300), Phase(steps=500, start=0.1, end=0.1), Phase(steps=500, start=0.01, end=0.01)),
}


def courses(profile: Profile, seed: int) -> list[ScheduledTraining]:
    """Return the reference net under each schedule, other nets under the first; ``quick``: the first only."""
    schedules = _SCHEDULES.items()
    found = [
        ScheduledTraining(phases=p, **DIGITS._replace(title=f"digits, {name}")._asdict())
        for name, p in schedules
    ]
    if profile == "quick":
        return found[:1]
    first = found[0].phases
    others = (BESIDE[name] for name in ("residual CNN", "BatchNorm, batch 128"))
    return found + [ScheduledTraining(phases=first, **s._asdict()) for s in others]


LAW = CourseQuestion(
    text=TEXT,
    courses=courses,
    rivals=lambda course: (course.log_quasi_static(), course.log_ideal(0.5), course.log_ideal(2.0)),
    caption=(
        "The norm answers with a delay, and stands still once the LR is small. If it were always at the "
        "equilibrium of the current LR, the effective LR would be higher towards the end."
    ),
).law()
CLAIM = LAW.claim()
