"""A BatchNorm net of a hundred layers: its gradients explode once, then all layers turn alike."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Judged, Profile
from ilr_check.claims.figures import band, line, points
from ilr_check.claims.function_space.trainings.deep import DeepNet, DeepTrace, train
from ilr_check.claims.function_space.trainings.steps import ASKED
from ilr_check.claims.lab import Lab, RunDiverged
from ilr_check.claims.law import Examined, Part, StatisticalLaw, file_name, rivals_at
from ilr_check.claims.mistakes import Mistake, mistake, too_much_decay
from ilr_check.evidence import ClaimText, Figure
from ilr_check.seeds import derive
from ilr_check.stats import CurveEquivalence, Design, MeanEquivalence
from ilr_check.theory.depth import equilibration_time, gradient_growth

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="deep-bn",
    title="A hundred layers with BatchNorm",
    statement=(
        "In a deep BatchNorm ReLU net the squared gradient at unit norm grows by a fixed factor a layer "
        "towards the input: pi/(pi-1) = 1.467 in the limit of large batches, and 1.493 in batches of 64, by "
        "a closed form in the batch size. One step makes the gradients of the exploded layers alike. Once "
        "the norms have returned, every layer rotates by arccos(1 - lambda_e) a step, where lambda_e is the "
        "learning rate times the weight decay. With skip connections the rotation is the same."
    ),
    equation="‖ḡₗ‖² ∝ q^(L−l), q ≈ π/(π−1)·(1 + 1.1/B);  ‖g‖ ≈ r₀/η after a step;  cos θ* = 1 − ηλ",
    source=(
        "Yang et al. 2019, here for batches of any size B; Li, Lyu, Arora 2020, section 5; a reviewer's "
        "question on depth"
    ),
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("no growth", "growth of the norm, not of its square", "still growing", "no normalisation"),
    meaning="The net is not normalised where it should be, or the decay does not reach every layer.",
    blind=(
        "what such a net learns, and whether it trains well; the growth of gradients with skip "
        "connections; the jumps of the norms at equilibrium; the time before the first layers have "
        "returned, when they hardly rotate: the rotation is not equal right after the first step; and the "
        "difference between a growth of 1.493, of pi/(pi-1) = 1.467 and of 3/2, which all lie inside the "
        "margin for finite width. The growth that is measured in batches of 64 (0.408 [0.399, 0.424] in its "
        "logarithm, depth 100) excludes log pi/(pi-1) = 0.383, and the closed form for batches of 64 (0.401) "
        "explains it. In batches larger than the width the growth falls below the closed form (0.375 +- "
        "0.002 in batches of 256 at width 128, where the form has 0.387). The form is for nets whose width "
        "is far greater than their depth: at finite width the lengths of the examples of a batch drift apart "
        "from layer to layer, which lowers the growth, while other effects of the order of 1/width raise it."
    ),
)

GROWTH_TOLERANCE = 0.03
"""Tolerated beyond 1/width, the order of the correction to wide nets.

In a pilot (seeds from 900000 on, 24 layers, batches of 64, 32 nets) the growth was 0.407 +- 0.006 at width
32, 0.397 +- 0.004 at width 64 and 0.392 +- 0.003 at width 128, where the closed form for the batch has 0.401.
In batches of 16 it was 0.466 +- 0.003, where the closed form has 0.464 and the limit of large batches 0.383.
In batches larger than the width it falls below the closed form: 0.375 +- 0.002 in batches of 256 at width
128, where the closed form has 0.387.

The reason is that lengths of examples are neutral in depth. Let nu be the length of an example's centred
features over the root mean square in its batch. In a large batch the next nu^2 is f(nu) / f(1), f(nu) =
nu^2/2 - nu/pi + 1/(2 pi), and f'(1) / f(1) = 2: a relative deviation of nu stays as it is. A layer of n units
adds 4.4/n to the variance of nu^2 if they are independent, so that Var(nu) grows by about 1.1/n a layer. In a
simulation (width 256, batches of 2048) it grew by 1.4/n, and a deviation was multiplied by 1.03 over nine
layers. A unit's values over the batch are then a mixture of normal ones, and their rectified variance, by
which BatchNorm divides, is Var(nu)/(2 pi) larger than 1/2 - 1/(2 pi). At width 128 in batches of 256 (12
nets, mean of layers 5 to 19) it is 0.3548 in place of 0.3408, which lowers the growth by 0.040. The mean of 1
/ sigma^2 times the way back through the weights raises it by 0.035, and mask and projection lower it by
0.007: 0.371 in all. Only the first of these is derived here. In batches of 64 the variance is 0.348, nearly
that of the closed form (0.345), and the growth 0.397.
"""

ROTATION_TOLERANCE = 0.05
NORM_CHANGE = 1.0
"""How much log r may differ between the ends of the window: norms of deep nets jump by factors of e."""

EXPLODED = 10.0
"""A layer counts as exploded where the first step is this many times the weights."""

POINTS = 8
ENDS = 5
"""Layers at either end that are left out of slopes, because the data and the loss act on them directly."""


class Deep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deep net, and its training: ``burn_in`` and ``window`` in units of 1/lambda_e."""

    title: str
    net: DeepNet
    lr: float = 200.0
    weight_decay: float = 0.0005
    batch_size: int = 64
    burn_in: float = 8.0
    window: float = 12.0
    planned_sd: float = 0.05
    looks: tuple[int, ...] = (32, 64)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay

    @property
    def start(self) -> int:
        """First step of the window."""
        return round(self.burn_in / self.intrinsic_lr)

    @property
    def steps(self) -> int:
        """Steps of a run."""
        return self.start + round(self.window / self.intrinsic_lr)


GROWTH, TAMED = Part("growth", figure="gradients"), Part("tamed", figure="gradients")
ROTATION = Part("rotation", figure="rotation")


def experiments(profile: Profile, seed: int) -> list[Deep]:
    """Return 24 layers without skips in ``quick``; 100 layers without and with skips beyond."""
    quick = profile == "quick"
    depth = 24 if quick else 100
    burn_in, window = (8.0, 12.0) if quick else (18.0, 80.0)
    return [
        Deep(
            title=f"depth {depth}, {name}",
            net=DeepNet(depth=depth, skips=skips),
            burn_in=burn_in,
            window=window,
        )
        for name, skips in (("without skips", False), ("with skips", True))[: 1 if quick else 2]
    ]


def parts(deep: Deep) -> tuple[Part, ...]:
    """Return what is judged; theory says nothing about the growth of gradients with skips."""
    return (ROTATION,) if deep.net.skips else (GROWTH, TAMED, ROTATION)


class DeepRuns:
    """Runs that grow look by look; the first two steps and the rotation of each are kept."""

    def __init__(self, deep: Deep, lab: Lab) -> None:
        self.deep, self._lab = deep, lab
        self._steps: list[Array] = []
        self._rotations: list[Array] = []
        self._count = 0

    def read(self, part: Part, n: int) -> Array:
        """Return what a part judges, [n] or [n, points]."""
        if part is GROWTH:
            return _slopes(np.log(self.first(n).unit_grad2))
        return _tamed(self, n) if part is TAMED else _by_depth(self.rotation(n))

    def first(self, n: int, step: int = 0) -> DeepTrace:
        """Return norms and gradients of ``n`` runs at the first or the second step, [runs, layers]."""
        self._take(n)
        norm2, grad2 = np.concatenate(self._steps, axis=2)[:, step, :n]
        return DeepTrace(norm2, grad2, np.empty(0), np.empty(0))

    def rotation(self, n: int) -> Array:
        """Return the deviation of the rotation angle, [runs, layers]."""
        self._take(n)
        return np.concatenate(self._rotations)[:n]

    def _take(self, n: int) -> None:
        if n <= self._count:
            return
        deep, context = self.deep, self._lab.context
        seeds = [derive(context.seed, deep.title, i) for i in range(self._count, n)]
        self._lab.claim_seeds("judged", seeds)
        trace = train(
            self._lab.net(deep.net),
            seeds,
            deep.steps,
            lr=deep.lr,
            weight_decay=deep.weight_decay,
            batch_size=deep.batch_size,
            device=context.device,
            visit=self._lab.visit(len(seeds), only=ASKED | {"batch"}),
            progress=context.progress,
        )
        if not np.isfinite(trace.norm2).all() or not np.isfinite(trace.loss).all():
            raise RunDiverged(f"a run of {deep.title} (seeds {seeds[0]} ...) is not finite; lower lr")
        self._lab.soundness.see_losses(trace.loss)
        self._steps.append(np.stack([trace.norm2[:2], trace.grad2[:2]]))
        self._rotations.append(_deviation(deep, trace, deep.start))
        self._count = n


def _deviation(deep: Deep, trace: DeepTrace, start: int) -> Array:
    """Return the relative deviation of the angle, to first order, [runs, layers].

    It is mean(log cos) / log(1 - lambda_e) less 1, halved.
    """
    mean = trace.log_cosine[start:].mean(axis=0)
    return np.asarray(0.5 * (mean / math.log1p(-deep.intrinsic_lr) - 1.0))


def _by_depth(layers: Array) -> Array:
    """Return means over ``POINTS`` stretches of layers, [runs, points]."""
    return np.stack([part.mean(axis=1) for part in np.array_split(layers, POINTS, axis=1)], axis=1)


@lru_cache(maxsize=4)
def control(deep: Deep) -> tuple[float, ...]:
    """Return what the same code reads of nets without normalisation and without skips, [points].

    It depends on the spec alone, as every rival of a design does.
    """
    net = msgspec.structs.replace(deep.net, normalised=False, skips=False)
    trace = train(
        net,
        [derive(deep.title, "control", i) for i in range(deep.looks[0])],
        40,
        lr=deep.lr / 1e5,  # a net without normalisation diverges at the lr of the judged one
        weight_decay=deep.weight_decay * 1e5,
        batch_size=deep.batch_size,
    )
    return tuple(_by_depth(_deviation(deep, trace, 20)).mean(axis=0).tolist())


def _slopes(logs: Array) -> Array:
    """Return the growth a layer towards the input of log values [runs, layers], one number a run."""
    inner = logs[:, ENDS:-ENDS]
    x = np.arange(inner.shape[1]) - 0.5 * (inner.shape[1] - 1)
    return np.asarray(-(inner @ x) / (x @ x))


def _tamed(runs: DeepRuns, n: int) -> Array:
    """Return the growth a layer of log ||g||^2 after the step; raises where the layers had not exploded."""
    lr = runs.deep.lr
    first, second = runs.first(n), runs.first(n, 1)
    blown = np.sqrt(lr**2 * first.grad2 / first.norm2)[:, ENDS:-ENDS].mean(axis=0)
    if blown.min() < EXPLODED:
        raise ValueError(
            f"lr={lr:g}: the first step is only {blown.min():.1f} times the weights in some layer; "
            f"raise lr until it is {EXPLODED:g} times in all of them"
        )
    return _slopes(np.log(second.grad2))


def design(deep: Deep, part: Part, alpha: float) -> Design:
    """Return the design of one part."""
    about: dict[str, Any] = {"looks": deep.looks, "false_fail": alpha}
    finite_size = 1.0 / deep.net.width
    growth = math.log(gradient_growth(deep.batch_size))
    if part is GROWTH:
        room = finite_size + GROWTH_TOLERANCE
        return MeanEquivalence(
            estimand="growth of log squared gradient at unit norm, a layer, before the first step",
            theory=growth,
            margin=(growth - room, growth + room),
            margin_reason=f"finite width {finite_size:.3f} (1/width) + tolerance {GROWTH_TOLERANCE}",
            rivals=rivals_at(("no growth", 0.0), ("growth of the norm, not of its square", 2.0 * growth)),
            sd=0.05,
            **about,
        )
    if part is TAMED:
        # ||g'|| = G' r / (lr G): a quotient of two gradients at unit norm, each of which may deviate from
        # theory by as much as the margin of ``GROWTH``. The new weights are sums of a batch's examples, so
        # that the correction for small batches need not cancel.
        width, batch = 2.0 * finite_size, growth - math.log(gradient_growth())
        room = width + batch + 2.0 * GROWTH_TOLERANCE
        return MeanEquivalence(
            estimand="growth of log squared gradient, a layer, after one step",
            margin=(-room, room),
            margin_reason=f"the growth before and after: finite width {width:.3f} (2/width) + batch "
            f"{batch:.3f} + tolerance {2.0 * GROWTH_TOLERANCE}",
            rivals=rivals_at(("still growing", growth)),
            sd=0.05,
            **about,
        )
    room = rotation_margin(deep)
    return CurveEquivalence(
        estimand="rotation per step / arccos(1 - lambda_e), less 1, in eight stretches of layers",
        points=POINTS,
        margin=(-room, room),
        margin_reason=(
            f"change of the norm {room - ROTATION_TOLERANCE:.3f} + tolerance {ROTATION_TOLERANCE}"
        ),
        rivals=rivals_at(("no normalisation", control(deep))),
        sd=deep.planned_sd,
        **about,
    )


def mistakes(deep: Deep, part: Part) -> tuple[Mistake, ...]:
    """Return the mistake near the margin of each part."""
    growth = math.log(gradient_growth(deep.batch_size))
    if part is GROWTH:
        return (mistake("a growth that is {} too large", lambda size: (1.0 + size) * growth),)
    if part is TAMED:
        return (mistake("{} of the growth is left", lambda size: size * growth),)
    per_step = math.log1p(-deep.intrinsic_lr)
    return (
        too_much_decay(
            lambda factor: (0.5 * (math.log1p(-factor * deep.intrinsic_lr) / per_step - 1.0),) * POINTS
        ),
    )


def rotation_margin(deep: Deep) -> float:
    """Return the tolerance and the change of the norm over the window."""
    return ROTATION_TOLERANCE + 0.5 * NORM_CHANGE / deep.window


def words(seen: Examined[Deep, DeepRuns]) -> str:
    """Return the growth of the gradients, and how long the first layer takes to come back."""
    deep, runs, n = seen.spec, seen.runs, seen.spec.looks[0]
    first, second = runs.first(n), runs.first(n, 1)

    def decades(trace: DeepTrace) -> float:
        logs = 0.5 * np.log10(trace.grad2)
        return float((logs.max(axis=1) - logs.min(axis=1)).mean())

    back = equilibration_time(deep.lr, deep.weight_decay, first.unit_grad2.mean(axis=0)[0], first.norm2[0, 0])
    return (
        f"growth a layer {math.exp(_slopes(np.log(first.unit_grad2)).mean()):.3f}; gradient norms span "
        f"{decades(first):.1f} decades before the first step, {decades(second):.1f} after it; the "
        f"first layer needs {float(back):.0f} steps to come back"
    )


def closing(deep: Deep, runs: DeepRuns, subject: dict[str, Any], n: int) -> Judged:
    """Draw gradients and rotation by layer."""
    layers = np.arange(1.0, deep.net.depth + 1.0)
    before, after = (np.exp(0.5 * np.log(runs.first(n, step).grad2).mean(axis=0)) for step in (0, 1))
    law = before[-ENDS] * gradient_growth(deep.batch_size) ** (0.5 * (deep.net.depth + 1 - ENDS - layers))
    turned, room, ones = 1.0 + runs.rotation(n), rotation_margin(deep), np.ones(len(layers))
    gradients = Figure(
        name=file_name(TEXT.id, deep.title, "gradients"),
        title=f"{deep.title}: gradients",
        x_label="layer, from the input",
        y_label="norm of the gradient",
        y_log=True,
        series=(
            *(() if deep.net.skips else (line("closed form", "predicted", layers, law),)),
            points("before the first step", "measured", layers, before),
            points("after one step", "control", layers, after),
        ),
        caption="One step makes layers alike whose gradients were decades apart.",
    )
    rotation = Figure(
        name=file_name(TEXT.id, deep.title, "rotation"),
        title=f"{deep.title}: rotation",
        x_label="layer, from the input",
        y_label="rotation per step / theory",
        series=(
            band("margin", "margin", layers, (1 - room) * ones, (1 + room) * ones),
            band("runs, 5 % to 95 %", "measured", layers, *np.quantile(turned, (0.05, 0.95), axis=0)),
            line("theory", "predicted", layers, ones),
            points("mean of the runs", "measured", layers, turned.mean(axis=0)),
        ),
        caption="Every layer turns by arccos(1 - lambda_e) a step. A net without normalisation does not.",
    )
    return Judged((), (gradients, rotation))


LAW = StatisticalLaw(
    text=TEXT,
    spec=Deep,
    experiments=experiments,
    run_steps=lambda deep: deep.looks[0] * deep.steps,
    trained=DeepRuns,
    parts=parts,
    design=design,
    mistakes=mistakes,
    sample=DeepRuns.read,
    steps=lambda deep, part: deep.steps,
    form="prediction",
    message=words,
    rival_values=lambda deep, part, design: {r.name: float(np.min(r.expected)) for r in design.rivals},
    closing=closing,
)
CLAIM = LAW.claim()
