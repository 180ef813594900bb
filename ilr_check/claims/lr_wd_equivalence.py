"""(lr, wd, w0) and (c lr, wd / c, sqrt(c) w0) take the same path through function space, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import torch

from ilr_check.claims.exact import ExactLaw, Outcome, Worst
from ilr_check.claims.experiments.nets import digits_settings
from ilr_check.claims.experiments.worlds import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.optim.hyper import HyperParams
from ilr_check.theory.rounding import UNIT_ROUNDOFF
from ilr_check.train.loop import OptimizerFactory, Setting, Step, steps_of, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

TEXT = ClaimText(
    id="lr-wd-equivalence",
    title="Only lr times weight decay and the initial scale matter",
    statement=(
        "Multiplying lr by c, dividing weight decay by c and scaling the initial weights by sqrt(c) gives "
        "the same functions at every step; bitwise for c a power of four, with momentum and any schedule."
    ),
    equation="(η, λ, w₀) ≡ (cη, λ/c, √c·w₀)",
    source="Li, Lyu, Arora 2020, section 2; Li and Arora 2020, Lemma 2.4",
    kind="exact",
    chapter="exact",
    groups=("core", "exact"),
    rivals=("lr alone", "sqrt(c) left out"),
    meaning=(
        "The optimizer's step is not homogeneous as SGD's is: weight decay is not multiplied by lr, a "
        "hidden constant (an eps, a clip) has a scale of its own, or the gradient is rescaled."
    ),
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
    scaled = _with_hyper(setting, lr=factor**2, weight_decay=factor**-2)
    worst, steps, skipped = Worst(), 0, ""
    pairs = zip(steps_of(setting, optimizer), steps_of(scaled, optimizer, weight_factor=factor), strict=False)
    for plain, other in pairs:
        if not all(bool(torch.isfinite(v).all()) for v in (*plain.after.values(), *other.after.values())):
            break
        deviation = _deviation(plain, other, factor, setting.dtype)
        if deviation > 0 and _subnormal(plain, other, factor):
            skipped = "skipped (subnormal): a scaled intermediate underflows"
            break
        worst.add(deviation, 1.0, group="all", step=plain.t)
        steps += 1
    _rivals(example, optimizer, worst)
    return worst.outcome(steps=steps, events=events_of(setting), skipped=skipped)


def _with_hyper(setting: Setting, *, lr: float, weight_decay: float) -> Setting:
    old = setting.hyper
    new: HyperParams = msgspec.structs.replace(
        old, lr=old.lr * lr, weight_decay=old.weight_decay * weight_decay
    )
    return msgspec.structs.replace(setting, hyper=new)


def _deviation(plain: Step, other: Step, factor: float, dtype: str) -> float:
    """Largest entrywise relative difference in units of u; above 1 unless every bit agrees."""
    pairs = [(plain.loss, other.loss)]
    pairs += [(plain.after[name] * factor, other.after[name]) for name in plain.after]
    largest = 0.0
    for a, b in pairs:
        if not torch.equal(a, b):
            size = torch.maximum(a.abs(), b.abs()).double()
            gap = (a.double() - b.double()).abs() / size.clamp_min(1e-300)
            largest = max(largest, float(gap.max()) / UNIT_ROUNDOFF[dtype])
    return largest


def _subnormal(plain: Step, other: Step, factor: float) -> bool:
    """Whether rounding is no longer relative: a power of two then does not pass through unchanged.

    So it is where gradients differ only in entries near the smallest normal number, where new weights have
    such entries, and where a unit's weights are so small or large that the variance of its pre-activation,
    which goes with their square, leaves the normal numbers.
    """
    info = torch.finfo(next(iter(plain.after.values())).dtype)
    floor = info.tiny / info.eps
    for w in (*plain.before.values(), *other.before.values()):
        units = w.abs().flatten(1).amax(dim=1) if w.dim() > 1 else w.abs()
        units = units[units > 0]
        if bool(
            (units.double() ** 2 < floor / info.eps).any() | (units.double() ** 2 > info.max * info.eps).any()
        ):
            return True
    for name, g in plain.gradient.items():
        differs = g != other.gradient[name] * factor
        if bool(differs.any()):
            return bool((g[differs].abs() < floor).all())
    return any(bool(((w != 0) & (w.abs() < floor)).any()) for w in plain.after.values())


def _rivals(example: Rescaling, optimizer: OptimizerFactory, worst: Worst) -> None:
    setting, c = example.setting, 4.0**example.power
    steps = min(setting.hyper.steps, 2)
    short = msgspec.structs.replace(setting, hyper=msgspec.structs.replace(setting.hyper, steps=steps))
    wrong = {
        "lr alone": _with_hyper(short, lr=c, weight_decay=1.0),
        "sqrt(c) left out": _with_hyper(short, lr=c, weight_decay=1.0 / c),
    }
    truth = list(steps_of(short, optimizer))
    for name, rival in wrong.items():
        for a, b in zip(truth, steps_of(rival, optimizer), strict=False):
            worst.add_rival(name, _turned(a, b) / UNIT_ROUNDOFF[setting.dtype], 1.0)


def _turned(a: Step, b: Step) -> float:
    """Largest difference between the directions of two states: functions see directions only."""
    turned = 0.0
    for name, w in a.after.items():
        v = b.after[name]
        if (
            bool(torch.isfinite(v).all())
            and bool(torch.isfinite(w).all())
            and float(w.norm())
            and float(v.norm())
        ):
            turned = max(turned, float((w / w.norm() - v / v.norm()).abs().max()))
    return turned


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
