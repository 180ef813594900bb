"""A large and a small first LR end alike, at one weight decay, given enough time."""

from __future__ import annotations

from ilr_check.claims.claim import Profile
from ilr_check.claims.function_space.trainings.forgetting import Contest, ForgettingQuestion
from ilr_check.claims.function_space.trainings.functions import History, Stage
from ilr_check.claims.settings.nets import LAYER_NORM_MLP, REFERENCE, TEACHER
from ilr_check.data import DataSpec, SplitDigitsSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import NetSpec

TEXT = ClaimText(
    id="init-lr-forgotten",
    title="A large and a small first LR end alike, given time",
    statement=(
        "Let lambda_e be the learning rate (LR) times the weight decay. At one weight decay, runs whose "
        "first LRs differ by a factor 100 come to one last LR. A few times 1/lambda_e steps later they "
        "have the same distribution of predictions and the same held-out loss. Another last LR gives "
        "another result."
    ),
    equation="P(label | x), held-out loss = f(λₑ of the last phase) after ≫ 1/λₑ steps",
    source=(
        "Li, Lyu, Arora 2020, figure of the initial LR 100 times smaller; why a large LR comes first: "
        "reviewer 2, point 11"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("four times the last LR",),
    meaning=(
        "The first LR had an effect that the last phase did not remove: there was too little time, the "
        "decay is not lr * weight_decay, or the noise does not leave a basin."
    ),
    blind=(
        "how long it takes (function-mixing-time, relaxation-rate); nets that are stopped earlier, where a "
        "large first LR may be better; and anything that changes all populations alike."
    ),
)

LR = 0.5
LEVEL = 1.6e-2
"""lambda_e of the last phase; the weight decay is LEVEL / LR in all phases."""
LENGTH = 5.0
"""Steps of the last phase times lambda_e: e^-5 of the old direction and e^-20 of the old gamma remain."""
FIRST_STEPS = 60
"""Ten times 1/lambda_e of the large LR, so that its noise has acted in full. Of the small LR it is a tenth of
1/lambda_e, so that a run that stopped there would be far from the others."""

PLANNED = {"probabilities": (0.11, 0.4), "loss": (0.17, 0.28)}
"""Above the largest standard deviations (0.090, 0.162) and below the smallest effects (0.436, 0.302) of 128
runs of another seed on digits."""


def contest(title: str, net: NetSpec, data: DataSpec) -> Contest:
    """Return first LRs of ten times, once and a tenth of the last one; the control's last LR is four times as
    large."""

    def course(name: str, first: float, last: float = 1.0) -> History:
        decay = LEVEL / LR
        return History(
            name=name,
            phases=(
                Stage(steps=FIRST_STEPS, lr=first * LR, weight_decay=decay),
                Stage(steps=round(LENGTH / LEVEL), lr=last * LR, weight_decay=decay),
            ),
        )

    return Contest(
        title=title,
        net=net,
        data=data,
        reference=course("large LR first", 10.0),
        others=(course("the last LR from the start", 1.0), course("small LR first", 0.1)),
        control=course("four times the last LR", 10.0, 4.0),
        planned=PLANNED,
    )


def contests(profile: Profile, seed: int) -> tuple[Contest, ...]:
    """Return digits with label noise 0.5; a LayerNorm net beyond ``quick``."""
    found = [contest("digits, first LR", REFERENCE, SplitDigitsSpec(label_noise=0.5))]
    if profile != "quick":
        found.append(contest("LayerNorm net, teacher and student, first LR", LAYER_NORM_MLP, TEACHER))
    return tuple(found)


LAW = ForgettingQuestion(
    text=TEXT,
    contests=contests,
    quantities=("probabilities", "loss"),
    control_words="four times the last LR",
    caption=(
        "How far each population is from the one with the large LR first, as a distribution of labels over "
        "runs, while the last phase goes on: one LR and one weight decay for all. Unbiased: equal "
        "populations scatter about 0. The control's last LR is four times as large."
    ),
).law()
CLAIM = LAW.claim()
