"""Clipping and SAM keep an optimizer's symmetry when their lengths scale: max_norm as 1/a, rho as a."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import torch

from ilr_check.claims.exact.checks.paths import shortened
from ilr_check.claims.exact.checks.scaling import compare, parted, scaled_path
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.optim.around import clip_exactly, clipped, sharpness_aware
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import symmetry_of
from ilr_check.train.loop import OptimizerFactory, Setting, steps_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="clip-and-sam",
    title="Gradient clipping and SAM keep the symmetry if their lengths scale",
    statement=(
        "Multiply the initial weights by a, and the optimizer's arguments by their powers of a. Then "
        "clipping the gradient at c/a, and SAM with the radius a*rho, give the same functions at every "
        "step. They agree bit for bit for a = 2^k."
    ),
    equation="(a·w₀, aᵖη, a^q λ, aʳε, c/a, aρ) ≡ (w₀, η, λ, ε, c, ρ)",
    source="gradients scale as 1/a, weights as a; Foret et al. 2021 for SAM",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("clip left alone", "clip_grad_norm_ with its 1e-6", "rho left alone"),
    meaning=(
        "The clip or SAM has a length of its own: clip_grad_norm_ adds 1e-6 to the norm, for example. Or "
        "it divides by a norm that is not that of the gradient."
    ),
    blind=(
        "a clip or a radius that is wrong by a constant factor, because both only have to scale with the "
        "weights."
    ),
)


class Around(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting, an optimizer with a clip of max_norm ``length`` or SAM of that radius, and a = 2^power.

    Lengths are relative to the initial scale of the weights: the clip is ``length / init_scale``, and the
    radius ``length * init_scale``.
    """

    setting: Setting
    optimizer: OptimizerSpec
    kind: Literal["clip", "sam"]
    length: float
    power: int

    def __post_init__(self) -> None:
        if not 1 <= abs(self.power) <= 8:
            raise ValueError(f"power={self.power} must be within [-8, 8] and not 0; a = 2^power")
        if not 0 < self.length < float("inf"):
            raise ValueError(f"length={self.length} must be positive and finite")


def check(example: Around) -> Outcome:
    """Train at both scales, with the clip or SAM scaled too; every bit of every step must agree."""
    setting, optimizer, a = example.setting, example.optimizer, 2.0**example.power
    symmetry, worst = symmetry_of(optimizer), Worst()
    scaled = symmetry.scaled(optimizer, a)
    plain, other = _around(example, optimizer, 1.0), _around(example, scaled, a)
    steps, skipped = compare(
        steps_of(setting, plain),
        scaled_path(setting, optimizer, symmetry, a, other),
        symmetry,
        a,
        setting,
        worst,
    )
    rivals: dict[str, tuple[OptimizerFactory, OptimizerFactory]] = (
        {
            "clip left alone": (plain, _around(example, scaled, 1.0)),
            "clip_grad_norm_ with its 1e-6": (
                _around(example, optimizer, 1.0, torch_clip=True),
                _around(example, scaled, a, torch_clip=True),
            ),
        }
        if example.kind == "clip"
        else {"rho left alone": (plain, _around(example, scaled, 1.0))}
    )
    short = shortened(setting, 2)
    for name, (one, two) in rivals.items():
        paths = steps_of(short, one), scaled_path(short, optimizer, symmetry, a, two)
        worst.add_rival(name, parted(*paths, setting.dtype), 1.0)
    events = (*events_of(setting), f"around: {example.kind}", f"optimizer: {optimizer.name}")
    return worst.outcome(steps=steps, events=events, skipped=skipped)


def _around(
    example: Around, optimizer: OptimizerSpec, a: float, *, torch_clip: bool = False
) -> OptimizerFactory:
    scale = a * example.setting.hyper.init_scale
    if example.kind == "sam":
        return sharpness_aware(optimizer, example.length * scale)
    clip = torch.nn.utils.clip_grad_norm_ if torch_clip else clip_exactly
    return clipped(optimizer, example.length / scale, clip)


def _examples() -> SearchStrategy[Around]:
    import hypothesis.strategies as st

    from ilr_check.strategies import optimizers

    return st.builds(
        Around,
        setting=settings(momentum=False),
        optimizer=optimizers(configurations=("SGD", "SGD momentum", "AdamW", "Adam", "Lion", "RMSprop")),
        kind=st.sampled_from(("clip", "sam")),
        length=st.sampled_from((0.1, 1e-3, 0.01, 0.03, 0.3, 1.0)),
        power=st.sampled_from((1, -1, 2, -2, 3, -3)),
    )


LAW = ExactLaw(
    text=TEXT,
    example_type=Around,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="difference of the paths / unit roundoff",
)
CLAIM = LAW.claim()
