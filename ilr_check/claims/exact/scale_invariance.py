"""L(c w; B) = L(w; B) for every batch B and c > 0: bit for bit for powers of two, else within rounding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor

from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact.checks.scaled_states import deviation, leaves_range, logits, scaled
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.nets import build, evaluation_bound, scalable
from ilr_check.nets.specs import NormSpec, ResNetSpec
from ilr_check.train.loop import DTYPES, Setting, steps_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

RIVALS = {
    "the gain and shift of the last norm before the head": ("affines.2.gain", "affines.2.shift"),
    "a hidden gain alone, with a shift": ("affines.0.gain",),
    "a residual writer alone": ("outer.0.weight",),
    "one row of a layer in front of LayerNorm": ("inner.0.weight",),
}
"""What is not scale-invariant, as tensors of the net ``_rival_net``; of the last one, the first row."""

TEXT = ClaimText(
    id="scale-invariance",
    title="The loss does not depend on the scale of the weights",
    statement=(
        "Multiplying a group of weights in front of a norm layer by c > 0 leaves the loss of every batch "
        "as it is."
    ),
    equation="L(c·w; B) = L(w; B)",
    source="Li, Lyu, Arora 2020, section 2; a norm layer is homogeneous of degree 0",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=tuple(RIVALS),
    meaning=(
        "A layer that should be scale-invariant is not: a norm layer has an eps or stale statistics or is "
        "missing, or a skip connection or a bias leads around it."
    ),
    blind=(
        "the backward pass and the optimizer: only outputs are compared. gradient-orthogonality examines "
        "gradients."
    ),
)

CHECKED = 4
"""The largest number of states of a training that are checked; the law is about states, not about their
order."""


class Scaled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training, and the factors by which group i is scaled: 2^powers[i], and factors[i], in turn."""

    setting: Setting
    powers: tuple[int, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.powers or any(abs(power) > 20 for power in self.powers):
            raise ValueError(f"powers={self.powers!r}: must be one or more whole numbers within [-20, 20]")
        if not self.factors or any(not 1e-4 <= factor <= 1e4 for factor in self.factors):
            raise ValueError(f"factors={self.factors!r}: must be one or more numbers within [1e-4, 1e4]")


def check(example: Scaled) -> Outcome:
    """Scale all groups at some states of a training; compare logits to the last bit, the loss within its
    bound."""
    setting = example.setting
    dtype, last = DTYPES[setting.dtype], setting.hyper.steps - 1
    module, groups = build(setting.net, dtype=dtype, device=setting.device), scalable(setting.net)
    worst, steps, trusted, skipped = Worst(), 0, 0, ""
    for step in steps_of(setting):
        if not all(bool(torch.isfinite(value).all()) for value in (step.loss, *step.before.values())):
            break
        if step.t % max(1, last // (CHECKED - 1)):
            continue
        powers = dict(enumerate(example.powers))
        doubled = scaled(step.before, groups, [2.0 ** powers[i % len(powers)] for i in range(len(groups))])
        different = deviation(logits(module, step.before, step.x), logits(module, doubled, step.x))
        if different > 0 and leaves_range(module, (step.before, doubled), step.x):
            skipped = UNDERFLOW
            break
        worst.add(different, 1.0, group="all groups, powers of two", step=step.t)
        factors = [example.factors[i % len(example.factors)] for i in range(len(groups))]
        loss, bound = evaluation_bound(module, step.before, step.x, step.y)
        other, other_bound = evaluation_bound(module, scaled(step.before, groups, factors), step.x, step.y)
        if math.isfinite(bound + other_bound):
            trusted += 1
            worst.add(float(other - loss), bound + other_bound, group="all groups", step=step.t)
        if step.t == 0:
            _rivals(example, step.x, worst)
        steps += 1
    events = (*events_of(setting), "any factor: judged" if trusted else "any factor: too ill-conditioned")
    return worst.outcome(steps=steps, events=events, skipped=skipped)


def _rivals(example: Scaled, x: Tensor, worst: Worst) -> None:
    """Return the same deviation for tensors that are not invariant, on a net that has them all."""
    setting = example.setting
    net = ResNetSpec(
        shape=(setting.net.inputs,),
        width=6,
        blocks=1,
        classes=setting.net.classes,
        norm=NormSpec(kind="layer", affine=True),
        head_seed=setting.net.head_seed,
    )
    module = build(net, dtype=DTYPES[setting.dtype], device=setting.device, free=True)
    state = {name: p.detach() for name, p in module.named_parameters()}
    for rival, names in RIVALS.items():
        other = {name: w.clone() for name, w in state.items()}
        for name in names:
            part = other[name][:1] if rival.startswith("one row") else other[name]
            part.mul_(2.0 ** example.powers[0])
        worst.add_rival(rival, deviation(logits(module, state, x), logits(module, other, x)), 1.0)


def _examples() -> SearchStrategy[Scaled]:
    import hypothesis.strategies as st

    powers = st.integers(-10, 10).filter(bool)
    factors = st.integers(-200, 200).map(lambda n: float(f"{10 ** (n / 100):.3g}"))
    return st.builds(
        Scaled,
        setting=settings(momentum=True, max_steps=CHECKED),
        powers=st.lists(powers, min_size=1, max_size=3).map(tuple),
        factors=st.lists(factors, min_size=1, max_size=3).map(tuple),
    )


def _real(profile: Profile) -> tuple[tuple[str, Scaled], ...]:
    return tuple(
        (title, Scaled(setting=setting, powers=(1, -3), factors=(1.7, 0.3)))
        for title, setting in digits_settings(profile, momentum=0.9)
    )


LAW = ExactLaw(
    text=TEXT,
    example_type=Scaled,
    examples=_examples,
    check=check,
    real=_real,
    quantity="change of the outputs / rounding bound",
)
CLAIM = LAW.claim()
