"""At fixed lr times weight decay, the initial lr and the initial scale of the weights are one setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ilr_check.claims.exact.checks.paths import rescaled, shortened
from ilr_check.claims.exact.checks.scaling import compare, parted
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.train.loop import OptimizerFactory, Setting, steps_of, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

TEXT = ClaimText(
    id="init-scale-is-lr",
    title="Another initial learning rate is another initial scale",
    statement=(
        "With learning rate times weight decay held fixed, multiplying the initial learning rate by c is "
        "the same as dividing the initial weights by sqrt(c): the losses are equal at every step, and the "
        "weights differ by the factor sqrt(c). They agree bit for bit for c = 4^k."
    ),
    equation="(cη, λ/c, w₀) ≡ (η, λ, w₀/√c)",
    source="Li, Lyu, Arora 2020, section 2 (changing the LR at fixed WD·LR); review 2, point 9",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("weights divided by c",),
    meaning=(
        "The net is not scale-invariant, or the optimizer's step is not homogeneous of degree one in the "
        "gradient. Then a large initial learning rate has an effect that a small initial scale does not "
        "have."
    ),
    blind="any decay that depends on lr * wd alone, right or wrong: the step only has to be homogeneous.",
)


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting, and the power k of c = 4^k."""

    setting: Setting
    power: int

    def __post_init__(self) -> None:
        if not 1 <= abs(self.power) <= 8:
            raise ValueError(f"power={self.power} must be within [-8, 8] and not 0; c = 4^power")


def check(example: Start, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Train with c times the lr, and from weights divided by sqrt(c); every bit of every step must agree."""
    setting, root = example.setting, 2.0**example.power
    faster = rescaled(setting, lr=root**2, weight_decay=root**-2)
    worst = Worst()
    steps, skipped = compare(
        steps_of(faster, optimizer),
        steps_of(setting, optimizer, weight_factor=1.0 / root),
        None,
        1.0 / root,
        setting,
        worst,
    )
    rival = steps_of(shortened(setting, 2), optimizer, weight_factor=root**-2)
    residual = parted(steps_of(shortened(faster, 2), optimizer), rival, setting.dtype)
    worst.add_rival("weights divided by c", residual, 1.0)
    return worst.outcome(steps=steps, events=events_of(setting), skipped=skipped)


def _examples() -> SearchStrategy[Start]:
    import hypothesis.strategies as st

    return st.builds(Start, setting=settings(momentum=True), power=st.sampled_from((1, -1, 2, -2, 3, -3)))


def _real(profile: Profile) -> tuple[tuple[str, Start], ...]:
    return tuple(
        (title, Start(setting=setting, power=1)) for title, setting in digits_settings(profile, momentum=0.9)
    )


LAW = ExactLaw(
    text=TEXT,
    example_type=Start,
    examples=_examples,
    check=check,
    real=_real,
    quantity="difference of the paths / unit roundoff",
)
CLAIM = LAW.claim()
