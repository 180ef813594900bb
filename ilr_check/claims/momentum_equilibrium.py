"""Momentum enters equilibrium through lambda_e = lr*wd/(1 - momentum) and a factor that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ilr_check.claims.claim import Profile
from ilr_check.claims.experiments.equilibrium import Equilibrium, Level
from ilr_check.claims.experiments.levels import LevelLaw, finite_lambda, norm_deviations, norm_rival
from ilr_check.claims.experiments.subjects import subjects
from ilr_check.evidence import ClaimText
from ilr_check.theory.momentum import heavy_ball_gain

TEXT = ClaimText(
    id="momentum-equilibrium",
    title="Equilibrium with momentum",
    statement=(
        "Heavy ball, Nesterov's form and dampening reach norms in closed form: to first order those of plain "
        "SGD with lr/(1 - momentum), so that the intrinsic LR survives momentum as lr*wd/(1 - momentum)."
    ),
    equation="‖w‖⁴ = ηG² / (λ(1 − μ)(2 − ηλ/(1 + μ)))",
    source="Wan et al. 2021, Theorem 1; Nesterov and dampening derived alike; asked by reviewer 1",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("lambda_e without 1/(1 - mu)",),
    meaning=(
        "The momentum buffer is not torch's: a buffer that averages instead of summing, a decay outside the "
        "buffer, a Nesterov step that looks ahead otherwise, or dampening applied elsewhere."
    ),
    blind="a gradient that is wrong in the donor runs too: its size is measured there and not predicted.",
)

LEVELS = (
    Level(lr=0.05, weight_decay=0.008, rule="heavy-ball", momentum=0.9),
    Level(lr=0.1, weight_decay=0.008, rule="heavy-ball", momentum=0.9, dampening=0.5),
    Level(lr=0.25, weight_decay=0.008, rule="heavy-ball", momentum=0.5),
    Level(lr=0.05, weight_decay=0.008, rule="nesterov", momentum=0.9),
)
_SETTINGS = ", ".join(
    f"{i} {x.rule} {x.momentum:g}" + (f" dampened by {x.dampening:g}" if x.dampening else "")
    for i, x in enumerate(LEVELS, 1)
)


def experiments(profile: Profile, seed: int) -> list[Equilibrium]:
    """The reference net; others too beyond ``quick``."""
    beside = ("BatchNorm CNN", "LayerNorm, batch 4")
    return [
        Equilibrium(levels=LEVELS, **s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)
    ]


def rivals(experiment: Equilibrium) -> Mapping[str, Sequence[float]]:
    """The norm of plain SGD at the same lr and weight decay."""
    return {
        TEXT.rivals[0]: [
            norm_rival(x.gain, float(heavy_ball_gain(x.lr, x.weight_decay, 0.0))) for x in experiment.levels
        ]
    }


LAW = LevelLaw(
    text=TEXT,
    experiments=experiments,
    deviations=norm_deviations,
    points=lambda experiment: tuple(float(i) for i in range(1, len(experiment.levels) + 1)),
    rivals=rivals,
    corrections=finite_lambda,
    tolerance=0.03,
    estimand="effective LR / prediction from other runs' G, less 1, at every level",
    x_label="setting",
    caption=(
        "The effective LR at equilibrium over its closed form, with G measured on other runs. Settings, with "
        f"their momentum: {_SETTINGS}."
    ),
)
CLAIM = LAW.claim()
