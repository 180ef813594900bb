"""(lr, wd, w0) and (c lr, wd / c, sqrt(c) w0) take the same path through function space, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    id="lr-wd-equivalence",
    title="Only lr times weight decay and the initial scale matter",
    statement=(
        "Multiplying the learning rate lr by c, dividing the weight decay by c and multiplying the initial "
        "weights by sqrt(c) gives the same functions at every step, with momentum and any schedule. They "
        "agree bit for bit where c is a power of four."
    ),
    equation="(η, λ, w₀) ≡ (cη, λ/c, √c·w₀)",
    source="Li, Lyu, Arora 2020, section 2; Li and Arora 2020, Lemma 2.4",
    kind="exact",
    chapter="exact",
    groups=("core", "exact"),
    rivals=("lr alone", "sqrt(c) left out"),
    meaning=(
        "The optimizer's step is not homogeneous as that of SGD is: weight decay is not multiplied by lr, "
        "a hidden constant (an eps, a clip) has a scale of its own, or the gradient is rescaled."
    ),
    blind="any decay that depends on lr * wd alone, right or wrong: the step only has to be homogeneous.",
)


class Rescaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting, and the power k of c = 4^k."""

    setting: Setting
    power: int

    def __post_init__(self) -> None:
        if not 1 <= abs(self.power) <= 8:
            raise ValueError(f"power={self.power} must be within [-8, 8] and not 0; c = 4^power")


def check(example: Rescaling, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Train both; every loss and every weight must agree to the last bit."""
    setting, factor = example.setting, 2.0**example.power
    scaled = rescaled(setting, lr=factor**2, weight_decay=factor**-2)
    worst = Worst()
    steps, skipped = compare(
        steps_of(setting, optimizer),
        steps_of(scaled, optimizer, weight_factor=factor),
        None,
        factor,
        setting,
        worst,
    )
    _rivals(example, optimizer, worst)
    return worst.outcome(steps=steps, events=events_of(setting), skipped=skipped)


def _rivals(example: Rescaling, optimizer: OptimizerFactory, worst: Worst) -> None:
    setting, c = example.setting, 4.0**example.power
    short = shortened(setting, 2)
    wrong = {
        "lr alone": rescaled(short, lr=c, weight_decay=1.0),
        "sqrt(c) left out": rescaled(short, lr=c, weight_decay=1.0 / c),
    }
    for name, rival in wrong.items():
        worst.add_rival(
            name, parted(steps_of(short, optimizer), steps_of(rival, optimizer), setting.dtype), 1.0
        )


def _examples() -> SearchStrategy[Rescaling]:
    import hypothesis.strategies as st

    return st.builds(Rescaling, setting=settings(momentum=True), power=st.sampled_from((1, -1, 2, -2, 3, -3)))


def _real(profile: Profile) -> tuple[tuple[str, Rescaling], ...]:
    found: list[tuple[str, Rescaling]] = []
    for kind, options in _FORMS.items():
        for title, setting in digits_settings(profile, **options):
            found.append((f"{title}, {kind}", Rescaling(setting=setting, power=1)))
    return tuple(found)


_FORMS: dict[str, dict[str, Any]] = {
    "plain": {"momentum": 0.0},
    "heavy ball": {"momentum": 0.9},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
}

LAW = ExactLaw(
    text=TEXT,
    example_type=Rescaling,
    examples=_examples,
    check=check,
    real=_real,
    quantity="difference of the paths / unit roundoff",
)
CLAIM = LAW.claim()
