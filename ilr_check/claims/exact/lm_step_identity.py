"""In a language model each step decays a tensor by lr * weight_decay, with the lr of this very step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np

from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.data import TextSpec
from ilr_check.data.text import text_spec
from ilr_check.evidence import ClaimText
from ilr_check.nets import TransformerSpec
from ilr_check.nets.build import parameter_shapes
from ilr_check.nets.transformer_specs import Placement
from ilr_check.optim.composed import Composed, for_language_models
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import (
    Constant,
    Drops,
    ScheduleSpec,
    WarmUpCosine,
    WarmUpLinear,
    WarmUpStableDecay,
)
from ilr_check.theory.rounding import UNDERFLOW, UNIT_ROUNDOFF, accumulated
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.loop import DTYPES, Setting
from ilr_check.train.trace import Trace

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile
    from ilr_check.train.world import World

RuleName = Literal["adamw", "muon", "lion", "heavy-ball", "sgd"]
COUPLED: tuple[RuleName, ...] = ("heavy-ball", "sgd")
"""The rules that add weight decay to the gradient."""

TOO_STRONG, NONE, LATE, OLD, GAINS, FIXED = (
    "weight decay 5 % too strong",
    "no weight decay of the tensor",
    "decay after the step",
    "decay with the lr of the step before",
    "gains decay as matrices do",
    "the update has not the lr of this step",
)

TEXT = ClaimText(
    id="lm-step-identity",
    title="In a language model a step decays by lr * weight_decay, with the lr of this step",
    statement=(
        "A language model is trained with warm-up and clipping, by AdamW, Lion, SGD, or by Muon and AdamW. "
        "In each step a tensor w becomes (1 - lr * weight_decay) w + u, where lr is that of this very step "
        "and u is proportional to it. Gains have no weight decay. So the squared norm becomes (1 - lr * "
        "weight_decay)^2 ||w||^2 + 2 (1 - lr * weight_decay) <w, u> + ||u||^2. The update u is recorded on a "
        "twin, which is the same training, except that its weight decay is 0 in this one step."
    ),
    equation="‖w′‖² = a²‖w‖² + 2a⟨w, u⟩ + ‖u‖²,  ⟨w, w′⟩ = a‖w‖² + ⟨w, u⟩,  a = 1 − ηₜλ,  u ∝ ηₜ",
    source="algebra of decoupled weight decay (Loshchilov, Hutter 2019), and of SGD's in one step",
    kind="exact",
    chapter="exact",
    groups=("exact", "language-models"),
    rivals=(TOO_STRONG, NONE, LATE, OLD, GAINS, FIXED),
    meaning=(
        "Weight decay has another size than lr * weight_decay, misses a tensor, acts on a gain or after the "
        "update, or the optimizer uses the lr of another step."
    ),
    blind=(
        "the direction of the update, its length beyond the fact that it is proportional to lr, and a decay "
        "that does not depend on the setting weight_decay; the gate judges all three."
    ),
)


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A short training of a language model. ``rule`` steps the matrices inside of the blocks."""

    setting: Setting
    rule: RuleName

    def __post_init__(self) -> None:
        if not isinstance(self.setting.net, TransformerSpec):
            raise ValueError(f"net={self.setting.net!r}: must be a TransformerSpec")
        if self.rule not in get_args(RuleName):
            raise ValueError(f"rule={self.rule!r}: must be one of {', '.join(get_args(RuleName))}")


def check(recipe: Recipe, world: World | None = None) -> Outcome:
    """Compute the residuals of every tensor at every step that has twins, in units of their bound."""
    setting = recipe.setting
    rule = for_language_models(recipe.rule)
    if world is not None and not world.changes(rule.names):
        return Outcome(skipped=f"world {world.name!r} changes nothing in a training by {recipe.rule}")
    twins = Twins(recipe, rule, world)
    shapes = parameter_shapes(setting.net)
    worst, steps = Worst(), 0
    for t in checked_steps(setting.hyper.steps):
        trace = twins.at(t)
        if (trace.first_bad >= 0).any():
            break
        for name in trace.names:
            lr, decay = twins.settings_of(name)
            seen = Seen.of(trace, name)
            where: dict[str, Any] = {"group": name, "step": t}
            worst.add(seen.apart, 0.0, **where)
            bound = seen.bound(lr[t], decay[t], shapes[name], recipe)
            a = 1.0 - lr[t] * decay[t]
            for residual in (*seen.residuals(a), *seen.half_residuals(0.5)):
                worst.add(residual, bound, **where)
            worst.add_rival(FIXED, max(map(abs, seen.half_residuals(1.0))), bound)
            for rival, other in _rivals(name, t, lr, decay, setting.hyper.weight_decay).items():
                worst.add_rival(rival, max(map(abs, seen.residuals(other))), bound)
            if decay[t]:
                worst.add_rival(LATE, abs(seen.late_residual(a)), bound)
        steps += 1
    net = setting.net
    assert isinstance(net, TransformerSpec)
    return worst.outcome(steps=steps, events=(f"architecture: {net.family}", f"rule: {recipe.rule}"))


CHECKED = 3
"""The largest number of steps of a training that are checked. Each needs three trainings up to it."""


def checked_steps(steps: int) -> tuple[int, ...]:
    """Return the steps that are checked: the first, the last, and one between them."""
    return tuple(np.unique(np.linspace(0, steps - 1, min(steps, CHECKED)).round().astype(int)).tolist())


def _rivals(name: str, t: int, lr: list[float], decay: list[float], weight_decay: float) -> dict[str, float]:
    """Return the factor of the old weights under each rival that differs here."""
    if not decay[t]:
        return {GAINS: 1.0 - lr[t] * weight_decay} if name.endswith(".gain") else {}
    found = {TOO_STRONG: 1.0 - 1.05 * lr[t] * decay[t], NONE: 1.0}
    return {**found, OLD: 1.0 - lr[t - 1] * decay[t]} if t else found


class Seen(NamedTuple):
    """What is measured of one tensor in one step of the plain run and of its two twins.

    ``none`` has no weight decay in this step, and ``half`` has half of the lr beside.
    """

    norm2: float
    grad2: float
    apart: float
    """The largest difference of the squared norms before the step, which must be 0."""
    inner: float
    next2: float
    inner_none: float
    next2_none: float
    inner_half: float
    next2_half: float

    @classmethod
    def of(cls, trace: Trace, name: str) -> Seen:
        """Read a tensor off the last recorded step of the three runs."""
        norm2, grad2, inner, next2 = (
            getattr(trace, field)[-1, :, trace.names.index(name)]
            for field in ("norm2", "grad2", "inner", "next_norm2")
        )
        pairs = (float(x) for run in range(3) for x in (inner[run], next2[run]))
        return cls(float(norm2[0]), float(grad2.max()), float(np.ptp(norm2)), *pairs)

    @property
    def along(self) -> float:
        """The inner product of the weights and the update."""
        return self.inner_none - self.norm2

    @property
    def length2(self) -> float:
        """The squared length of the update."""
        return self.next2_none - 2.0 * self.inner_none + self.norm2

    def residuals(self, a: float) -> tuple[float, float]:
        """Return what inner product and squared norm lack if the old weights have the factor ``a``."""
        norm = a * a * self.norm2 + 2.0 * a * self.along + self.length2
        return self.inner - (a * self.norm2 + self.along), self.next2 - norm

    def late_residual(self, a: float) -> float:
        """Return what the squared norm lacks if weights and update both have the factor ``a``."""
        return self.next2 - a * a * self.next2_none

    def half_residuals(self, share: float) -> tuple[float, float]:
        """Return what the twin with half of the lr lacks if it makes this share of the update."""
        norm = self.norm2 + 2.0 * share * self.along + share**2 * self.length2
        return self.inner_half - (self.norm2 + share * self.along), self.next2_half - norm

    def bound(self, lr: float, weight_decay: float, shape: tuple[int, ...], recipe: Recipe) -> float:
        """Return a bound of all residuals if the steps and the algebra are right.

        Let S = r (1 + |lr wd|) + ||u||. A new weight has at most 6 roundings, each relative to terms whose
        norms add up to S: lr * wd to the dtype, two products and two sums. SGD rounds g, mu b and wd w
        before they are added, and lr mu ||b|| is at most ||u|| + lr ||g||, so that S grows by 2 ||u|| + 2 lr
        ||g||. The update has the same bits in all twins, up to a power of two. An error e of the new weights
        changes a squared norm by 2 S ||e||, and two trainings enter a residual: 24 u S^2, and less than u S^2
        of second order. Of the measured sums, n and <w, w'> and two squared norms enter with factors that add
        up to 5 at most, each with an error of gamma S^2. A subnormal product loses one smallest number.
        """
        dtype = recipe.setting.dtype
        update = math.sqrt(max(0.0, self.length2))
        size = math.sqrt(self.norm2) * (1.0 + abs(lr * weight_decay)) + update
        if recipe.rule in COUPLED:
            size += 2.0 * update + 2.0 * lr * math.sqrt(self.grad2)
        terms = shape[0] + math.prod(shape[1:]) + 2
        relative = 25.0 * UNIT_ROUNDOFF[dtype] + 5.0 * accumulated(terms, dtype)
        return (relative + 10.0 * UNIT_ROUNDOFF["float64"]) * size**2 + 5.0 * math.prod(shape) * UNDERFLOW[
            dtype
        ]


class Twins:
    """The trainings of a recipe: as it is, and with one step in which weight decay, or also lr, differs."""

    def __init__(self, recipe: Recipe, rule: Composed, world: World | None) -> None:
        setting, hyper = recipe.setting, recipe.setting.hyper
        self.hyper, self.rule = hyper, rule
        self.lr, self.decay = (
            value * np.array(schedule.factors(hyper.steps))[:, None]
            for value, schedule in (
                (hyper.lr, setting.lr_schedule),
                (hyper.weight_decay, setting.decay_schedule),
            )
        )
        self.fleet = Fleet(
            setting.net,
            setting.data,
            batch_size=hyper.batch_size,
            rule=rule,
            dtype=DTYPES[setting.dtype],
            device=setting.device,
            lanes=1,  # The last bits of a run may depend on its lane, and twins must have the same bits.
            compile=False,
            world=world,
        )

    def at(self, t: int) -> Trace:
        """Return the plain run, that without weight decay in step ``t``, and that which has also half of lr.

        The last recorded step is ``t``.
        """
        lr, decay = (np.tile(column[: t + 1], 3) for column in (self.lr, self.decay))
        decay[t, 1:] = 0.0
        lr[t, 2] *= 0.5
        runs = Runs(
            seeds=(self.hyper.seed,) * 3,
            lr=lr,
            weight_decay=decay,
            momentum=self.hyper.momentum,
            init_scale=self.hyper.init_scale,
        )
        return self.fleet.train(runs, t + 1, record_every=max(1, t))

    def settings_of(self, name: str) -> tuple[list[float], list[float]]:
        """Return lr and weight decay of a tensor in each step of the plain run."""
        columns = {key: np.full_like(self.lr, value) for key, value in self.rule.defaults.items()}
        columns |= {"lr": self.lr, "weight_decay": self.decay, "momentum": self.lr, "dampening": self.lr}
        own = self.rule.columns_of(name, columns)
        return own["lr"][:, 0].tolist(), own["weight_decay"][:, 0].tolist()


def _recipe(
    net: TransformerSpec,
    data: TextSpec,
    rule: RuleName,
    schedule: ScheduleSpec,
    *,
    steps: int,
    batch_size: int,
    lr: float,
    weight_decay: float = 0.1,
    seed: int = 0,
    decays: ScheduleSpec | None = None,
    dtype: Literal["float64", "float32"] = "float64",
) -> Recipe:
    momentum = 0.9 if rule in ("muon", "heavy-ball") else 0.0
    setting = Setting(
        net=net,
        data=data,
        hyper=HyperParams(
            lr=lr, weight_decay=weight_decay, momentum=momentum, batch_size=batch_size, steps=steps, seed=seed
        ),
        lr_schedule=schedule,
        decay_schedule=decays or Constant(),
        dtype=dtype,
    )
    return Recipe(setting=setting, rule=rule)


def _examples() -> SearchStrategy[Recipe]:
    import hypothesis.strategies as st

    schedules: tuple[ScheduleSpec, ...] = (
        WarmUpCosine(warm_up=2, floor=0.1),
        WarmUpLinear(warm_up=3),
        WarmUpStableDecay(warm_up=1, decay=2),
        Constant(),
    )
    decays: tuple[ScheduleSpec, ...] = (Constant(), Drops(period=2, factor=0.5))

    @st.composite
    def recipes(draw: st.DrawFn) -> Recipe:
        heads = draw(st.sampled_from((1, 2)))
        context = draw(st.integers(2, 6))
        # One number for both, because Hypothesis repeats what it draws from a short list.
        kind = draw(st.integers(0, 2**16))
        rules, placements = get_args(RuleName), get_args(Placement)
        net = TransformerSpec(
            context=context,
            width=draw(st.integers(4, 12)),
            blocks=draw(st.integers(1, 2)),
            heads=heads,
            head_dim=4,
            mlp_width=draw(st.integers(4, 12)),
            vocabulary=256,
            placement=placements[kind // len(rules) % len(placements)],
            tied=draw(st.booleans()),
        )
        return _recipe(
            net,
            TextSpec(context=context, limit=2**12, held_out=2**6),
            rules[kind % len(rules)],
            draw(st.sampled_from(schedules)),
            steps=draw(st.integers(2, 4)),
            batch_size=draw(st.integers(1, 4)),
            lr=draw(st.sampled_from((1e-3, 1e-2, 0.1))),
            weight_decay=draw(st.sampled_from((0.01, 0.1, 1.0))),
            seed=draw(st.integers(0, 2**32 - 1)),
            decays=draw(st.sampled_from(decays)),
            dtype=draw(st.sampled_from(("float64", "float32"))),
        )

    return recipes()


def _real(profile: Profile) -> tuple[tuple[str, Recipe], ...]:
    """Return each architecture with one rule; beyond ``quick`` with every rule, and for more steps."""
    found = []
    rules: tuple[RuleName, ...] = get_args(RuleName)[:4]
    rates = {"adamw": 3e-3, "muon": 0.02, "lion": 1e-3, "heavy-ball": 0.03}
    for number, placement in enumerate(get_args(Placement)):
        for rule in rules if profile != "quick" else (rules[number],):
            net = TransformerSpec(
                context=32, width=32, blocks=2, heads=4, kv_heads=2, mlp_width=64, placement=placement
            )
            steps = 12 if profile == "quick" else 60
            recipe = _recipe(
                net,
                text_spec(context=32),
                rule,
                WarmUpCosine(warm_up=steps // 2, floor=0.1),
                steps=steps,
                batch_size=4,
                lr=rates[rule],
            )
            found.append((f"{net.family}, {rule}, {steps} steps", recipe))
    return tuple(found)


LAW = ExactLaw(
    text=TEXT,
    example_type=Recipe,
    examples=_examples,
    check=check,
    real=_real,
    quantity="residual / rounding bound",
)
CLAIM = LAW.claim()
