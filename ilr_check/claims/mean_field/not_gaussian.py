"""Norm and rotation of equilibrium under minibatch, Gaussian and sign-shuffled noise of one trace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import against_theory
from ilr_check.claims.lab import Lab, Population, Role
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.probes import Probes, ProbeWatch, at_unit_norm
from ilr_check.claims.mistakes import mistake
from ilr_check.data import BatchNoise, DataSpec, SplitDigitsSpec, TeacherStudentSpec
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.specs import MLPSpec, NetSpec, NormSpec
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.train.fleet import Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Kind = Literal["minibatch", "gaussian", "sign-shuffled"]
KINDS: tuple[Kind, ...] = ("minibatch", "gaussian", "sign-shuffled")

TEXT = ClaimText(
    id="not-gaussian",
    title="Norm and rotation at equilibrium do not need Gaussian noise",
    statement=(
        "Three kinds of gradient noise are compared: that of minibatches, Gaussian noise with the same "
        "covariance, and minibatch noise with shuffled signs. Under each of them the weight norm at "
        "equilibrium is the one that the mean squared minibatch gradient of other runs predicts, and the "
        "rotation of a step is the one that lr * weight_decay predicts."
    ),
    equation="‖w‖⁴ = η²(‖∇L‖² + Tr Σ)/(1 − a²),  E log cos θ = log a,  a = 1 − ηλ",
    source="asked by reviewer 2; Li, Lyu, Arora 2020, section 5, where the noise of the SDE is Gaussian",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("trace doubled",),
    meaning=(
        "The noise that replaces that of minibatches has another trace, or the step is not that of SGD with "
        "weight decay."
    ),
    blind="how the direction of the weights, and with it the function, depends on the kind of noise.",
)

TOLERANCE = 0.03
NORM_CHANGE = 0.05
"""How much log r, r = ||w||, may change over the window; as for angular-update."""


class Shapes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One net under each kind of noise: ``burn_in / lambda_e`` steps, then ``window / lambda_e`` to measure.

    The net has no batch norm, so that a minibatch gradient is a mean over examples. Another noise can then
    have the same covariance. ``probes`` minibatches, each at a step of its own, measure the squared gradient
    along a path.
    """

    title: str
    net: NetSpec
    data: DataSpec
    lr: float = 0.5
    weight_decay: float = 0.032
    burn_in: float = 2.5
    window: float = 5.0
    batch_size: int = 16
    probes: int = 40
    initial_norm: float = 1.5
    planned_sd: float | None = 0.08
    looks: tuple[int, ...] = (64, 128, 256)

    @property
    def intrinsic_lr(self) -> float:
        """lambda_e = lr * weight_decay."""
        return self.lr * self.weight_decay

    @property
    def first(self) -> int:
        """The first step of the window."""
        return round(self.burn_in / self.intrinsic_lr)

    @property
    def steps(self) -> int:
        """Steps of a training."""
        return self.first + round(self.window / self.intrinsic_lr)

    def probed(self) -> list[int]:
        """Return the steps at which minibatches are drawn beside the training, evenly over the window."""
        return [int(t) for t in np.linspace(self.first, self.steps - 1, self.probes).round()]


class ShapeRuns:
    """Judged runs under each noise, and noise references under it whose minibatch gradients are measured."""

    def __init__(self, shapes: Shapes, lab: Lab) -> None:
        self.shapes, self._lab = shapes, lab
        device = lab.context.device
        self._probes = Probes(shapes.net, shapes.data, batch_size=shapes.batch_size, device=device)
        self._probed: dict[Kind, list[dict[str, Array]]] = {kind: [] for kind in KINDS}

    def judged(self, kind: Kind, tensors: tuple[str, ...], n: int) -> tuple[Array, Array]:
        """Return the means over the window of r^4 and of log cos, each [n]."""
        first, population = self.shapes.first, self._population("judged", kind)
        fourth = population.gather(n, lambda t: (t.group(tensors).norm2[first:] ** 2).mean(axis=0))
        cosine = population.gather(
            n, lambda t: (-0.5 * np.log1p(t.group(tensors).tangent[first:] ** 2)).mean(axis=0)
        )
        return fourth, cosine

    def minibatch_grad2(self, kind: Kind, tensors: tuple[str, ...], n: int) -> Array:
        """Return the squared minibatch gradient at unit norm along the noise references, [n]."""
        self._population("noise reference", kind).take(n)
        return at_unit_norm(self._probed[kind], "", tensors, n)

    def _population(self, role: Role, kind: Kind) -> Population:
        return self._lab.population(f"{role} {kind}", partial(self._train, role, kind))

    def _train(self, role: Role, kind: Kind, seeds: Sequence[int]) -> Trace:
        shapes = self.shapes
        fleet = self._lab.fleet(
            shapes.net,
            shapes.data,
            batch_size=shapes.batch_size,
            noise=None if kind == "minibatch" else BatchNoise(shape=kind),
            role=role,
        )
        settings = Runs(
            seeds=seeds, lr=shapes.lr, weight_decay=shapes.weight_decay, initial_norm=shapes.initial_norm
        )
        if role == "judged":
            return self._lab.train(fleet, settings, shapes.steps)
        watch = ProbeWatch(seeds, shapes.probed(), self._probes.squared)
        trace = self._lab.train(fleet, settings, shapes.steps, **watch.watching())
        self._probed[kind].append(watch.joined())
        return trace


def experiments(profile: Profile, seed: int) -> list[Shapes]:
    """Return a LayerNorm net on generated data; beyond ``quick`` also GroupNorm and digits."""
    layer, group = NormSpec(kind="layer"), NormSpec(kind="group", groups=4)
    generated = TeacherStudentSpec(inputs=16, classes=10, examples=128, label_noise=0.5)
    found = [
        Shapes(
            title="LayerNorm net, teacher and student",
            net=MLPSpec(inputs=16, widths=(24, 24), classes=10, norm=layer),
            data=generated,
        )
    ]
    if profile != "quick":
        found += [
            Shapes(
                title="GroupNorm net, teacher and student",
                net=MLPSpec(inputs=16, widths=(32,), classes=10, norm=group),
                data=generated,
            ),
            Shapes(
                # A step with one of the other noises costs a gradient of every example.
                title="LayerNorm net, 256 digits",
                net=MLPSpec(inputs=64, widths=(16,), classes=10, norm=layer),
                data=SplitDigitsSpec(label_noise=0.5, held_out=1797 - 256),
            ),
        ]
    return found


def deviations(runs: ShapeRuns, part: Part, n: int) -> Array:
    """Return (1 - r^4 / predicted) / 2 and half of mean log cos / log a less 1, under each noise, [n, 6].

    r^4 is linear in the squared gradient, so that the value of noise reference i is its pseudo-value. The
    noise references measure the gradient of a minibatch at their weights, and not the noise that moved the
    weights. Therefore a noise of another trace is seen.
    """
    shapes = runs.shapes
    a = 1.0 - shapes.intrinsic_lr
    gain = shapes.lr**2 * float(equilibrium_gamma(shapes.intrinsic_lr, 1.0))
    norms, rotations = [], []
    for kind in KINDS:
        fourth, cosine = runs.judged(kind, part.tensors, n)
        predicted = gain * runs.minibatch_grad2(kind, part.tensors, n)
        norms.append(0.5 * (predicted - fourth) / predicted.mean())
        rotations.append(0.5 * (cosine / math.log(a) - 1.0))
    return np.stack(norms + rotations, axis=1)


DOUBLED = (0.0, -0.5, -0.5, 0.0, 0.0, 0.0)
"""The deviations if the other noises have twice the trace: their norms grow, and no rotation changes.

(1 - r^4 / predicted) / 2 is -1/2 where noise makes up the whole gradient. The mean gradient takes a few
hundredths of this with label noise 0.5, so that the rival is a little nearer than it is drawn.
"""


def design(shapes: Shapes, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for norms and rotations under all noises at once."""
    # The recursion's second term moves gamma* by lambda_e Var(G^2)/E(G^2)^2, the effective LR by half of it.
    finite, change = 2.0 * shapes.intrinsic_lr, 0.5 * NORM_CHANGE / shapes.window
    room = TOLERANCE + max(finite, change)
    return CurveEquivalence(
        estimand="effective LR, then rotation, over theory less 1 under each noise",
        points=2 * len(KINDS),
        margin=(-room, room),
        margin_reason=(
            f"the larger of finite lambda_e {finite:.3f} (2 lambda_e) and change of the norm over the window "
            f"{change:.3f} + tolerance {TOLERANCE}"
        ),
        rivals=(Rival(name=TEXT.rivals[0], expected=DOUBLED),),
        looks=shapes.looks,
        false_fail=alpha,
        sd=shapes.planned_sd,
    )


def _message(seen: Examined[Shapes, ShapeRuns]) -> str:
    means = {kind: seen.runs.judged(kind, seen.tensors, seen.n)[0].mean() for kind in KINDS}
    raw = [f"{kind} {(means[kind] / means['minibatch']) ** -0.5 - 1.0:+.3f}" for kind in KINDS[1:]]
    return (
        "effective LR relative to that under minibatch noise, reported and not judged, because the path and "
        f"the trace along it may differ: {', '.join(raw)}; the batch size is {seen.spec.batch_size}"
    )


def _figure(seen: Examined[Shapes, ShapeRuns]) -> Figure:
    return against_theory(
        range(1, 2 * len(KINDS) + 1),
        np.zeros(2 * len(KINDS)),
        seen.design,
        seen.decision,
        x_label="effective LR, then rotation: minibatch, Gaussian, sign-shuffled",
        y_label="measured / theory, less 1",
        caption=(
            "Points 1 to 3 are effective LRs and 4 to 6 rotations, under minibatch, Gaussian and "
            "sign-shuffled noise. The prediction uses minibatch gradients along the paths of other runs."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Shapes,
    experiments=experiments,
    run_steps=lambda shapes: 2 * shapes.looks[0] * shapes.steps,
    trained=ShapeRuns,
    design=design,
    mistakes=lambda shapes, part: (
        mistake("trace of the other noises {} too large", lambda size: tuple(size * x for x in DOUBLED)),
    ),
    sample=deviations,
    steps=lambda shapes, part: len(KINDS) * shapes.steps,
    message=_message,
    figure=_figure,
)
CLAIM = LAW.claim()
