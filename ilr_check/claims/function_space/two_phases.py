"""Noise, then flow: the final functions depend on lr * weight_decay of the noisy phase alone."""

from __future__ import annotations

from ilr_check.claims.claim import Profile
from ilr_check.claims.function_space.trainings.flowing import LEVEL, LR, finer, noisy, two_phases
from ilr_check.claims.function_space.trainings.forgetting import Contest, ForgettingQuestion
from ilr_check.claims.settings.nets import LAYER_NORM_MLP, REFERENCE, TEACHER
from ilr_check.data import DataSpec, SplitDigitsSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import NetSpec

TEXT = ClaimText(
    id="two-phases",
    title="Noise first, gradient flow after it: lambda_e decides the end",
    statement=(
        "Let lambda_e be the learning rate (LR) times the weight decay. A noisy phase of a few times "
        "1/lambda_e steps is followed by a flow: a phase without decay and with an effective LR too small "
        "for noise. After equal time of flow, the distribution of functions and the held-out loss are the "
        "same for every LR and weight decay with an equal product in the noisy phase and for every history "
        "before it. A flow at half the LR for twice as long gives the same. Another product gives another "
        "result. Which lambda_e ends best is not predicted."
    ),
    equation="loss at the end = f(λₑ of the noisy phase, flow time);  effective LR = (lr′/lr)·√(2λₑ/G²)",
    source="Li, Lyu, Arora 2020, training as an SDE phase and a gradient-flow phase; reviewer 2, point 11",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("four times lambda_e",),
    meaning=(
        "The flow keeps a memory of lr, of weight decay or of an older phase: the noisy phase was too "
        "short, the decay that acts is not lr * weight_decay, or the flow still has noise of its own."
    ),
    blind=(
        "anything that changes all populations alike; which lambda_e is best, and whether flow from the "
        "initialisation is as good, because no sign is derived; and times of flow beyond the one chosen."
    ),
)

PLANNED = {"probabilities": (0.045, 0.16), "loss": (0.055, 0.075)}
"""Above the largest standard deviations (0.038, 0.052) and below the smallest effects (0.173, 0.080) of 128
runs of another seed on digits."""


def contest(title: str, net: NetSpec, data: DataSpec) -> Contest:
    """Return four populations whose noisy phase has one lambda_e, and one with four times it."""
    reference = two_phases("constant noise, then flow")
    return Contest(
        title=title,
        net=net,
        data=data,
        reference=reference,
        others=(
            two_phases("lr / 10, weight decay * 10, then flow", lr=0.1 * LR),
            two_phases("large LR first, then noise, then flow", noisy(0.5, 8.0 * LEVEL, 2.0 * LR)),
            finer(reference, "flow at half the LR, twice as long"),
        ),
        control=two_phases("noise at four times lambda_e, then flow", level=4.0 * LEVEL),
        planned=PLANNED,
    )


def contests(profile: Profile, seed: int) -> tuple[Contest, ...]:
    """Return digits with label noise 0.5; a LayerNorm net beyond ``quick``."""
    digits = SplitDigitsSpec(label_noise=0.5)
    found = [contest("digits, noise and flow", REFERENCE, digits)]
    if profile != "quick":
        found.append(contest("LayerNorm net, teacher and student, noise and flow", LAYER_NORM_MLP, TEACHER))
    return tuple(found)


LAW = ForgettingQuestion(
    text=TEXT,
    contests=contests,
    quantities=("probabilities", "loss"),
    control_words="four times lambda_e in the noisy phase",
    caption=(
        "How far each population is from the one with constant noise, as a distribution of labels over runs, "
        "while the flow goes on: no decay, a twentieth of the LR. Unbiased: equal populations scatter about "
        "0. Of the flow at half the LR the second half is shown. The control's noisy phase had four times "
        "lambda_e and its flow the same effective LR."
    ),
).law()
CLAIM = LAW.claim()
