"""What a net predicts at equilibrium depends on lr * weight_decay, not on how it got there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ilr_check.claims.claim import Profile
from ilr_check.claims.function_space.trainings.forgetting import Contest, ForgettingQuestion
from ilr_check.claims.function_space.trainings.functions import History, Stage
from ilr_check.claims.settings import full_size
from ilr_check.claims.settings.nets import LAYER_NORM_MLP, REFERENCE, TEACHER
from ilr_check.data import DataSpec, SplitDigitsSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive

TEXT = ClaimText(
    id="equilibrium-forgets",
    title="Equilibrium forgets lr, weight decay, momentum, scale and schedule",
    statement=(
        "Let lambda_e be the learning rate (lr) times the weight decay, over 1 - momentum with heavy ball. "
        "After a few times 1/lambda_e steps, the distribution of predictions on held-out inputs is the same "
        "for every lr, weight decay and momentum with an equal lambda_e, every initial scale and every "
        "early schedule. Another lambda_e gives another distribution."
    ),
    equation="P(label | x) at equilibrium = f(x; λₑ),  λₑ = ηλ/(1 − μ)",
    source=(
        "Li, Lyu, Arora 2020, equilibrium conjecture, figure of five schedules; reviewer 1, point 6, and "
        "point 7 on momentum"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("four times lambda_e",),
    meaning=(
        "The history is not forgotten: the weight decay that acts is not lr * weight_decay, momentum does "
        "not multiply lr by 1/(1 - momentum), the initial norm or an old phase has a lasting effect, or the "
        "runs had too little time."
    ),
    blind=(
        "anything that changes all populations alike, such as a wrong gradient; a memory in weights that "
        "predictions do not show; a difference smaller than that of a lambda_e 1.6 to 1.8 times as "
        "large; and momentum whose memory, 1/(1 - momentum) steps, is not far shorter than 1/lambda_e."
    ),
)

LR = 0.5
PIECES = 5
"""The number of stretches of constant settings in each of the paper's early schedules. The LR lies within a
factor of 30 below and 3 above that of the recipe, and the weight decay within a factor of 10 either way."""

LENGTH = 5.0
"""Steps of the last phase times lambda_e: e^-5 of the old direction and e^-20 of the old norm remain."""

PLANNED = {"labels": (2.8, 5.9), "probabilities": (0.15, 0.43)}
"""The largest standard deviation and the smallest effect of the six populations, in 128 runs of another seed
on digits. The LayerNorm net has standard deviations of 2.3 and 0.074 beside effects of 10.7 and 0.5, which is
easier."""


def contest(title: str, net: NetSpec, data: DataSpec, level: float, *, initial_norm: float = 3.0) -> Contest:
    """Return six histories that end at one lambda_e, and one that ends at four times it."""

    def phase(length: float, lr: float, intrinsic_lr: float) -> Stage:
        return Stage(steps=round(length / intrinsic_lr), lr=lr, weight_decay=intrinsic_lr / lr)

    last = phase(LENGTH, LR, level)
    wide = phase(0.5, 2.0 * LR, 8.0 * level)
    narrow = phase(0.02, 0.1 * LR, 0.1 * level)
    return Contest(
        title=title,
        net=net,
        data=data,
        reference=History(name="constant settings", phases=(last,), initial_norm=initial_norm),
        others=(
            History(
                name="lr / 10, weight decay * 10",
                phases=(phase(LENGTH, 0.1 * LR, level),),
                initial_norm=initial_norm,
            ),
            History(name="initial norm * 3", phases=(last,), initial_norm=3.0 * initial_norm),
            History(name="large LR first", phases=(wide, last), initial_norm=initial_norm),
            History(name="small LR first", phases=(narrow, last), initial_norm=initial_norm),
            History(name="up and down first", phases=(wide, narrow, wide, last), initial_norm=initial_norm),
            History(name="one and the same start", phases=(last,), initial_norm=initial_norm, init_seed=1),
        ),
        control=History(
            name="four times lambda_e", phases=(phase(LENGTH, LR, 4.0 * level),), initial_norm=initial_norm
        ),
        planned=PLANNED,
        looks=(256, 832),
    )


MOMENTUM = 0.9
PLANNED_MOMENTUM = {"probabilities": (0.09, 0.19), "loss": (0.11, 0.17)}
"""Above the largest standard deviations (0.089, 0.098) and below the smallest effects (0.195, 0.176) of 128
runs with the seed 777002 at lambda_e = 0.0125. There 1/lambda_e is eight times the memory of momentum. At
0.008 (seed 777001) the control's effect is smaller, and a thousand runs would be needed."""


def momentum_contest(title: str, net: NetSpec, data: DataSpec, level: float) -> Contest:
    """Return plain SGD, heavy ball at two lr, all at one lambda_e, and heavy ball at four times it.

    Momentum is 0.9, so its memory of ten steps should be short beside 1/lambda_e.
    """

    def course(name: str, lr: float, momentum: float = 0.0, times: float = 1.0) -> History:
        decay = times * level * (1.0 - momentum) / lr
        stage = Stage(steps=round(LENGTH / (times * level)), lr=lr, weight_decay=decay)
        return History(name=name, phases=(stage,), momentum=momentum)

    return Contest(
        title=title,
        net=net,
        data=data,
        reference=course("no momentum", LR),
        others=(
            course("momentum 0.9, lr / 10", LR * (1.0 - MOMENTUM), MOMENTUM),
            course("momentum 0.9, weight decay / 10", LR, MOMENTUM),
        ),
        control=course("momentum 0.9, four times lambda_e", LR * (1.0 - MOMENTUM), MOMENTUM, 4.0),
        planned=PLANNED_MOMENTUM,
    )


def contests(profile: Profile, seed: int) -> tuple[Contest, ...]:
    """Return digits with label noise 0.5, twice; beyond ``quick`` a LayerNorm net; in ``paper`` five
    schedules."""
    digits = SplitDigitsSpec(label_noise=0.5)
    found = [
        contest("digits, lambda_e = 0.016", REFERENCE, digits, 1.6e-2),
        momentum_contest("digits, with and without momentum", REFERENCE, digits, 1.25e-2),
    ]
    if profile != "quick":
        found.append(contest("LayerNorm net, teacher and student", LAYER_NORM_MLP, TEACHER, 1.6e-2))
    data = full_size.RECIPE.data()
    if profile == "paper" and data is not None:
        found.append(five_schedules(data, seed))
    return tuple(found)


def five_schedules(data: DataSpec, seed: int) -> Contest:
    """Return the paper's figure: five random schedules of LR and weight decay that become equal, then flow.

    So few runs can tell norms and losses apart, but not distributions of labels. The end of the flow is
    reported with its uncertainty and not judged, because the control's effect on it may be smaller.
    """
    recipe = full_size.RECIPE
    rng = np.random.default_rng(derive(TEXT.id, "schedules", seed))
    early = recipe.steps(recipe.equal_from)
    equal = Stage(
        steps=recipe.steps(recipe.flow_from - recipe.equal_from),
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
    )
    flow = Stage(steps=recipe.steps(recipe.end - recipe.flow_from), lr=0.1 * recipe.lr, weight_decay=0.0)

    def schedule(name: str) -> History:
        cuts = np.linspace(0, early, PIECES + 1).astype(int)
        powers = zip(rng.uniform(-1.5, 0.5, PIECES), rng.uniform(-1.0, 1.0, PIECES), strict=True)
        pieces = [
            Stage(
                steps=int(after - before),
                lr=float(f"{recipe.lr * 10**p:.3g}"),
                weight_decay=float(f"{recipe.weight_decay * 10**q:.3g}"),
            )
            for (before, after), (p, q) in zip(pairwise(cuts), powers, strict=True)
        ]
        return History(name=name, phases=(*pieces, equal, flow), initial_norm=recipe.initial_norm)

    schedules = [schedule(f"schedule {number}") for number in range(1, 6)]
    more = 4.0 * recipe.weight_decay
    return Contest(
        title="PreResNet-32 on CIFAR-10, five schedules, then flow",
        net=recipe.net,
        data=data,
        reference=schedules[0],
        others=tuple(schedules[1:]),
        control=History(
            name="four times lambda_e",
            phases=(Stage(steps=early + equal.steps, lr=recipe.lr, weight_decay=more), flow),
            initial_norm=recipe.initial_norm,
        ),
        planned={"log effective lr": None, "earlier loss": None},
        probes=1000,
        batch_size=recipe.batch_size,
        looks=(recipe.runs,),
    )


LAW = ForgettingQuestion(
    text=TEXT,
    contests=contests,
    quantities=("labels", "probabilities", "loss", "log effective lr", "earlier loss"),
    control_words="four times lambda_e",
    caption=(
        "How far each population is from the one with constant settings and no momentum, as a distribution "
        "of labels over runs, while the last phase, the same lambda_e for all, goes on. Unbiased: equal "
        "populations scatter about 0. The control ends at four times lambda_e."
    ),
).law()
CLAIM = LAW.claim()
