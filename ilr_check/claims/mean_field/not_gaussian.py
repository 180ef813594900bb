"""Norm and rotation of equilibrium under minibatch, Gaussian and sign-shuffled noise of one trace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.populations import (
    Population,
    decision_name,
    file_name,
    finding_of,
    judged_groups,
    units_by_group,
)
from ilr_check.data import BatchNoise, DataSpec, SplitDigitsSpec, TeacherStudentSpec
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.nets.specs import MLPSpec, NetSpec, NormSpec
from ilr_check.seeds import derive
from ilr_check.stats import CurveEquivalence, Decision, Rival, examine
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.noise import dot, gradients
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
Kind = Literal["minibatch", "gaussian", "sign-shuffled"]
KINDS: tuple[Kind, ...] = ("minibatch", "gaussian", "sign-shuffled")

TEXT = ClaimText(
    id="not-gaussian",
    title="Does the equilibrium need Gaussian noise?",
    statement=(
        "Minibatch noise, Gaussian noise of its covariance and its own noise with shuffled signs lead to the "
        "norm and the rotation that the mean squared minibatch gradient along the path predicts."
    ),
    equation="‖w‖⁴ = η²(‖∇L‖² + Tr Σ)/(1 − a²),  E log cos θ = log a,  a = 1 − ηλ",
    source="asked by reviewer 2; Li, Lyu, Arora 2020, section 5, where the noise of the SDE is Gaussian",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("trace doubled",),
    meaning=(
        "The noise that replaces the minibatch's has another trace than it, or the step is not that of SGD "
        "with weight decay."
    ),
    blind="the law of the direction, and so of the function, under these noises.",
)

TOLERANCE = 0.03
NORM_CHANGE = 0.05
"""How much log r may change over the window, as for angular-update."""


class Shapes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One net and one lambda_e under each shape of noise: ``burn_in / lambda_e`` steps, then ``window``.

    The net has no batch norm, so that a minibatch gradient is a mean over examples and has a covariance that
    another noise can have. ``probes`` minibatches, each at a step of its own, measure the trace along a path.
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
        """lambda_e."""
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
        """Steps at which minibatches are drawn beside the training, evenly over the window."""
        return [int(t) for t in np.linspace(self.first, self.steps - 1, self.probes).round()]


class ShapeRuns:
    """Judged runs under each noise, and noise references under the same noise whose minibatch gradients
    are measured.

    ``trace`` multiplies the trace of the noises that replace the minibatch's: a planted defect.
    """

    def __init__(self, shapes: Shapes, context: Context, *, trace: float = 1.0) -> None:
        self._shapes, self._context = shapes, context
        self._fleets = {kind: self._fleet(kind, trace) for kind in KINDS}
        self._probe = gradients(self._fleets["minibatch"].module, None)
        self._probed: dict[Kind, list[dict[str, Array]]] = {kind: [] for kind in KINDS}
        self._done, self._total = 0, 2 * len(KINDS) * shapes.looks[0]
        self._populations = {
            (role, kind): Population(f"{role} {kind}", context.seed, partial(self._train, role, kind))
            for role in ("judged", "noise reference")
            for kind in KINDS
        }

    def judged(self, kind: Kind, tensors: tuple[str, ...], n: int) -> tuple[Array, Array]:
        """Means over the window of r^4 and of log cos, each [n]."""
        first = self._shapes.first
        population = self._populations["judged", kind]
        fourth = population.gather(n, lambda t: (t.group(tensors).norm2[first:] ** 2).mean(axis=0))
        cosine = population.gather(
            n, lambda t: (-0.5 * np.log1p(t.group(tensors).tangent[first:] ** 2)).mean(axis=0)
        )
        return fourth, cosine

    def minibatch_grad2(self, kind: Kind, tensors: tuple[str, ...], n: int) -> Array:
        """Squared minibatch gradient at unit norm along the paths of the noise references under this
        noise, [n]."""
        self._populations["noise reference", kind].take(n)
        norms = [np.sum([part["norm2 " + name] for name in tensors], axis=0) for part in self._probed[kind]]
        sizes = [np.sum([part[name] for name in tensors], axis=0) for part in self._probed[kind]]
        means = [(r2 * g2).mean(axis=0) for r2, g2 in zip(norms, sizes, strict=True)]
        return np.asarray(np.concatenate(means)[:n])

    def _fleet(self, kind: Kind, trace: float) -> Fleet:
        shapes = self._shapes
        return Fleet(
            shapes.net,
            shapes.data,
            batch_size=shapes.batch_size,
            noise=None if kind == "minibatch" else BatchNoise(shape=kind, trace=trace),
            device=self._context.device,
            expected_run_steps=2 * shapes.looks[0] * shapes.steps,
        )

    def _train(self, role: str, kind: Kind, seeds: Sequence[int]) -> Trace:
        shapes, fleet = self._shapes, self._fleets[kind]
        found: dict[int, list[dict[str, Tensor]]] = {t: [] for t in shapes.probed()}

        def probe(t: int, chunk: slice, weights: dict[str, Tensor]) -> None:
            generators = fleet.batches.generators([derive("probe", t, s) for s in seeds[chunk]])
            rows, fresh = (drawn[0] for drawn in fleet.batches.draw(generators, 1))
            labels = torch.where(fresh >= 0, fresh, fleet.dataset.y[rows])
            grads, _ = self._probe(weights, fleet.dataset.x, rows, labels, {})
            sizes = {name: dot(g, g) for name, g in grads.items()}
            found[t].append(sizes | {"norm2 " + name: dot(w, w) for name, w in weights.items()})

        trace = fleet.train(
            Runs(
                seeds=seeds, lr=shapes.lr, weight_decay=shapes.weight_decay, initial_norm=shapes.initial_norm
            ),
            shapes.steps,
            observer=probe if role == "noise reference" else None,
            observed=shapes.probed() if role == "noise reference" else (),
        )
        self._done += len(seeds)
        self._context.progress(min(1.0, self._done / self._total))
        if role == "noise reference":
            names = found[shapes.first][0]
            self._probed[kind].append(
                {
                    name: np.stack(
                        [
                            torch.cat([p[name] for p in parts]).double().cpu().numpy()
                            for parts in found.values()
                        ]
                    )
                    for name in names
                }
            )
        return trace


def experiments(profile: Profile, seed: int) -> list[Shapes]:
    """A LayerNorm net on generated data; digits and a group-normed net too beyond ``quick``."""
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
                # A step of the other noises costs a gradient of every example.
                title="LayerNorm net, 256 digits",
                net=MLPSpec(inputs=64, widths=(16,), classes=10, norm=layer),
                data=SplitDigitsSpec(label_noise=0.5, held_out=1797 - 256),
            ),
        ]
    return found


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """One unit a net, with one decision an invariant group."""
    return units_by_group(TEXT.id, experiments(profile, seed))


def judge(subject: dict[str, Any], context: Context, *, trace: float = 1.0) -> Judged:
    """Judge every group under all noises at once; tests plant a wrong ``trace``."""
    shapes = msgspec.convert(subject, type=Shapes)
    runs = ShapeRuns(shapes, context, trace=trace)
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(shapes.net).items():
        design = _design(shapes, context.alpha(decision_name(TEXT.id, shapes, group)))
        examination = examine(design, partial(deviations, runs, shapes, tensors))
        if examination.runs_used:
            figures.append(_figure(shapes, group, examination.decision))
        findings.append(
            finding_of(
                examination,
                form="transfer",
                group=group,
                subject=subject,
                n_steps=len(KINDS) * shapes.steps if examination.runs_used else 0,
                figure=figures[-1].name if examination.runs_used else "",
                message=_words(runs, shapes, tensors, examination.runs_used),
                rival_values={TEXT.rivals[0]: DOUBLED},
            )
        )
    return Judged(tuple(findings), tuple(figures))


def deviations(runs: ShapeRuns, shapes: Shapes, tensors: tuple[str, ...], n: int) -> Array:
    """(1 - r^4 / predicted) / 2 under each noise, then half of mean log cos / log a less 1, [n, 6].

    r^4 is linear in the squared gradient, so noise reference i's own is its pseudo-value. What the noise
    references measure is
    the gradient of a minibatch at their weights, not the noise that moved them: a noise of another trace
    shows.
    """
    a = 1.0 - shapes.intrinsic_lr
    gain = shapes.lr**2 * float(equilibrium_gamma(shapes.intrinsic_lr, 1.0))
    norms, rotations = [], []
    for kind in KINDS:
        fourth, cosine = runs.judged(kind, tensors, n)
        predicted = gain * runs.minibatch_grad2(kind, tensors, n)
        norms.append(0.5 * (predicted - fourth) / predicted.mean())
        rotations.append(0.5 * (cosine / math.log(a) - 1.0))
    return np.stack(norms + rotations, axis=1)


DOUBLED = -0.5
"""Of (1 - r^4 / predicted) / 2 where noise makes up the gradient; what the mean gradient takes is left out.

It takes a few hundredths at label noise 0.5, so that the rival is a little nearer than it is drawn.
"""


def _rivals() -> tuple[Rival, ...]:
    """The other noises with twice the trace: their norms are longer, and no rotation moves."""
    return (Rival(name=TEXT.rivals[0], expected=(0.0, DOUBLED, DOUBLED, 0.0, 0.0, 0.0)),)


def _design(shapes: Shapes, alpha: float) -> CurveEquivalence:
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
        rivals=_rivals(),
        looks=shapes.looks,
        false_fail=alpha,
        sd=shapes.planned_sd,
    )


def _words(runs: ShapeRuns, shapes: Shapes, tensors: tuple[str, ...], n: int) -> str:
    if not n:
        return ""
    own = runs.judged("minibatch", tensors, n)[0].mean()
    raw = [
        f"{kind} {(runs.judged(kind, tensors, n)[0].mean() / own) ** -0.5 - 1.0:+.3f}" for kind in KINDS[1:]
    ]
    return (
        "raw effective LR against minibatch noise, reported, not judged, as the path and with it the trace "
        f"may differ: {', '.join(raw)}; minibatches of {shapes.batch_size}"
    )


def _figure(shapes: Shapes, group: str, decision: Decision) -> Figure:
    band, room = decision.band, decision.margin_high or 0.0
    assert band is not None
    x = np.arange(1.0, 2.0 * len(KINDS) + 1.0)
    ones = np.ones(len(x))
    return Figure(
        name=file_name(TEXT.id, shapes.title, group),
        title=f"{shapes.title}, {group}",
        x_label="effective LR, then rotation: minibatch, Gaussian, sign-shuffled",
        y_label="measured / theory, less 1",
        series=(
            Series(name="margin", kind="band", role="margin", x=x, low=-room * ones, high=room * ones),
            Series(name="theory", kind="line", role="predicted", x=x, y=0.0 * ones),
            Series(
                name="measured, with its interval",
                kind="interval",
                role="measured",
                x=x,
                y=np.asarray(band.estimate),
                low=np.asarray(band.low),
                high=np.asarray(band.high),
            ),
            *(
                Series(name=f"rival: {r.name}", kind="line", role="rival", x=x, y=np.asarray(r.expected))
                for r in _rivals()
            ),
        ),
        caption=(
            "Points 1 to 3 are effective LRs and 4 to 6 rotations, under minibatch, Gaussian and "
            "sign-shuffled noise. The prediction uses minibatch gradients along the paths of other runs."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
