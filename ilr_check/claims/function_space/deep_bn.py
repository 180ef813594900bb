"""A BatchNorm net of a hundred layers: gradients explode once, a step tames them, all layers turn alike."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.function_space.trainings.deep import DeepNet, DeepTrace, train
from ilr_check.claims.populations import RunDiverged, file_name, finding_of
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.seeds import derive
from ilr_check.stats import CurveEquivalence, Examination, MeanEquivalence, Rival, examine
from ilr_check.theory.depth import equilibration_time, gradient_growth

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="deep-bn",
    title="A hundred layers with BatchNorm",
    statement=(
        "In a deep BatchNorm ReLU net the squared gradient at unit norm grows by pi/(pi-1) a layer towards "
        "the input; one step makes the gradients of the exploded layers alike, and once the norms have come "
        "back every layer turns by arccos(1 - lambda_e) a step. With skips the rotation is the same."
    ),
    equation="‖ḡₗ‖² ∝ (π/(π−1))^(L−l);  ‖g‖ ≈ r₀/η after a step;  cos θ* = 1 − ηλ",
    source="Yang et al. 2019; Li, Lyu, Arora 2020, section 5; a reviewer's question on depth",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("no growth", "growth pi/(pi-1) of the norm, not its square", "still growing", "no normalisation"),
    meaning="The net is not normalised where it says so, or decay does not reach every layer.",
    blind=(
        "what such a net learns, and whether it trains well: theory says nothing of it. Nor of the growth "
        "with skips, of the bursts of the norms at equilibrium, or of the time before the first layers are "
        "back, when they hardly turn at all: the rotation is not equal right after the first step."
    ),
)

GROWTH_TOLERANCE = 0.03
"""Beyond 1/width + 1/batch, the order of what is left out of the limit of wide nets and large batches."""

ROTATION_TOLERANCE = 0.05
NORM_CHANGE = 1.0
"""How much log r may differ between the ends of the window: norms of deep nets burst by factors of e."""

EXPLODED = 10.0
"""Layers count as exploded where the first step is this many times the weights."""

POINTS = 8
ENDS = 5
"""Layers at either end that are left out of slopes: the data and the loss are felt there."""


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

    def decision(self, what: str) -> str:
        """The name of a decision in the error budget."""
        return f"{TEXT.id}/{self.title}/{what}"


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """24 layers without skips in ``quick``; 100 layers without and with skips beyond."""
    quick = profile == "quick"
    depth = 24 if quick else 100
    burn_in, window = (8.0, 12.0) if quick else (18.0, 80.0)
    subjects = [
        Deep(
            title=f"depth {depth}, {name}",
            net=DeepNet(depth=depth, skips=skips),
            burn_in=burn_in,
            window=window,
        )
        for name, skips in (("without skips", False), ("with skips", True))[: 1 if quick else 2]
    ]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {base.title}",
            subject=msgspec.to_builtins(base),
            decisions=tuple(base.decision(what) for what in _judged(base)),
        )
        for base in subjects
    )


def judge(
    subject: dict[str, Any], context: Context, *, rule: UpdateRule = plain, judged: DeepNet | None = None
) -> Judged:
    """Judge one net; tests plant defects through ``rule`` and ``judged``, the net that is trained."""
    base = msgspec.convert(subject, type=Deep)
    runs = _Runs(base, judged or base.net, context, rule)
    control = _control(base, context)
    findings: list[Finding] = []
    figures = _figures(base, runs)
    designs = {
        "growth": (_growth_design(base, context), lambda n: _slopes(base, np.log(runs.first(n).unit_grad2))),
        "tamed": (_tamed_design(base, context), lambda n: _tamed(base, runs, n)),
        "rotation": (_rotation_design(base, context, control), lambda n: _by_depth(runs.rotation(n))),
    }
    for what in _judged(base):
        design, read = designs[what]
        examination: Examination = examine(design, read)
        rival_values = {r.name: float(np.min(r.expected)) for r in design.rivals}
        findings.append(
            finding_of(
                examination,
                form="raw",
                group=what,
                subject=subject,
                n_steps=base.steps if examination.runs_used else 0,
                figure=figures["rotation" if what == "rotation" else "gradients"].name,
                message=_words(base, runs),
                rival_values=rival_values,
            )
        )
    return Judged(tuple(findings), tuple(figures.values()))


def _judged(base: Deep) -> tuple[str, ...]:
    return ("rotation",) if base.net.skips else ("growth", "tamed", "rotation")


class _Runs:
    """Runs that grow look by look."""

    def __init__(self, base: Deep, net: DeepNet, context: Context, rule: UpdateRule) -> None:
        self._base, self._net, self._context, self._rule = base, net, context, rule
        self._steps: list[Array] = []
        self._rotations: list[Array] = []
        self._count = 0

    def _take(self, n: int) -> None:
        if n <= self._count:
            return
        base = self._base
        seeds = [derive(self._context.seed, base.title, i) for i in range(self._count, n)]
        trace = train(
            self._net,
            seeds,
            base.steps,
            lr=base.lr,
            weight_decay=base.weight_decay,
            batch_size=base.batch_size,
            device=self._context.device,
            rule=self._rule,
            progress=self._context.progress,
        )
        if not np.isfinite(trace.norm2).all() or not np.isfinite(trace.loss).all():
            raise RunDiverged(f"a run of {base.title} (seeds {seeds[0]} ...) is not finite; lower lr")
        self._steps.append(np.stack([trace.norm2[:2], trace.grad2[:2]]))
        self._rotations.append(_deviation(base, trace, base.start))
        self._count = n

    def first(self, n: int, step: int = 0) -> DeepTrace:
        """Norms and gradients of ``n`` runs at the first or the second step, [runs, layers]."""
        self._take(n)
        norm2, grad2 = np.concatenate(self._steps, axis=2)[:, step, :n]
        return DeepTrace(norm2, grad2, np.empty(0), np.empty(0))

    def rotation(self, n: int) -> Array:
        """The deviation of the rotation angle, [runs, layers]."""
        self._take(n)
        return np.concatenate(self._rotations)[:n]


def _deviation(base: Deep, trace: DeepTrace, start: int) -> Array:
    """mean(log cos) / log(1 - lambda_e) less 1, halved: of the angle, to first order, [runs, layers]."""
    mean = trace.log_cosine[start:].mean(axis=0)
    return np.asarray(0.5 * (mean / math.log1p(-base.intrinsic_lr) - 1.0))


def _by_depth(layers: Array) -> Array:
    """Means over ``POINTS`` stretches of layers, [runs, points]."""
    return np.stack([part.mean(axis=1) for part in np.array_split(layers, POINTS, axis=1)], axis=1)


def _control(base: Deep, context: Context) -> Array:
    """What the same code reads of nets without normalisation, and without skips, [points]."""
    net = msgspec.structs.replace(base.net, normalised=False, skips=False)
    seeds = [derive(context.seed, base.title, "control", i) for i in range(base.looks[0])]
    trace = train(
        net,
        seeds,
        40,
        lr=base.lr / 1e5,  # a net without normalisation diverges at the lr of the judged one
        weight_decay=base.weight_decay * 1e5,
        batch_size=base.batch_size,
        device=context.device,
    )
    return np.asarray(_by_depth(_deviation(base, trace, 20)).mean(axis=0))


def _slopes(base: Deep, logs: Array) -> Array:
    """Growth a layer towards the input of log values [runs, layers], one number a run."""
    inner = logs[:, ENDS:-ENDS]
    x = np.arange(inner.shape[1]) - 0.5 * (inner.shape[1] - 1)
    return np.asarray(-(inner @ x) / (x @ x))


def _tamed(base: Deep, runs: _Runs, n: int) -> Array:
    """The slope of log ||g||^2 after the step."""
    first, second = runs.first(n), runs.first(n, 1)
    blown = np.sqrt(base.lr**2 * first.grad2 / first.norm2)[:, ENDS:-ENDS].mean(axis=0)
    if blown.min() < EXPLODED:
        raise ValueError(
            f"lr={base.lr:g}: the first step is only {blown.min():.1f} times the weights in some layer; "
            f"raise lr until it is {EXPLODED:g} times in all of them"
        )
    return _slopes(base, np.log(second.grad2))


def _growth_design(base: Deep, context: Context) -> MeanEquivalence:
    corrections, theory = _finite_size(base), math.log(gradient_growth())
    room = corrections + GROWTH_TOLERANCE
    return MeanEquivalence(
        estimand="growth of log squared gradient at unit norm, a layer, before the first step",
        theory=theory,
        margin=(theory - room, theory + room),
        margin_reason=f"1/width + 1/batch {corrections:.3f} + tolerance {GROWTH_TOLERANCE}",
        rivals=(
            Rival(name="no growth", expected=0.0),
            Rival(name="growth pi/(pi-1) of the norm, not its square", expected=2.0 * theory),
        ),
        looks=base.looks,
        false_fail=context.alpha(base.decision("growth")),
        sd=0.05,
    )


def _finite_size(base: Deep) -> float:
    """The order of what the limit of wide nets and large batches leaves out: 1/width + 1/batch."""
    return 1.0 / base.net.width + 1.0 / base.batch_size


def _tamed_design(base: Deep, context: Context) -> MeanEquivalence:
    # ||g'|| = G' r / (lr G): a quotient of two gradients at unit norm, each of which grows as far from
    # theory as ``_growth_design`` allows.
    corrections = 2.0 * _finite_size(base)
    room = corrections + 2.0 * GROWTH_TOLERANCE
    return MeanEquivalence(
        estimand="growth of log squared gradient, a layer, after one step",
        margin=(-room, room),
        margin_reason=f"the growth before and after: 2 (1/width + 1/batch) {corrections:.3f} + tolerance "
        f"{2.0 * GROWTH_TOLERANCE}",
        rivals=(Rival(name="still growing", expected=math.log(gradient_growth())),),
        looks=base.looks,
        false_fail=context.alpha(base.decision("tamed")),
        sd=0.05,
    )


def _rotation_design(base: Deep, context: Context, control: Array) -> CurveEquivalence:
    corrections = 0.5 * NORM_CHANGE / base.window
    room = ROTATION_TOLERANCE + corrections
    return CurveEquivalence(
        estimand="rotation per step / arccos(1 - lambda_e), less 1, in eight stretches of layers",
        points=POINTS,
        margin=(-room, room),
        margin_reason=f"change of the norm {corrections:.3f} + tolerance {ROTATION_TOLERANCE}",
        rivals=(Rival(name="no normalisation", expected=tuple(control.tolist())),),
        looks=base.looks,
        false_fail=context.alpha(base.decision("rotation")),
        sd=base.planned_sd,
    )


def _words(base: Deep, runs: _Runs) -> str:
    n = base.looks[0]
    first, second = runs.first(n), runs.first(n, 1)

    def decades(trace: DeepTrace) -> float:
        logs = 0.5 * np.log10(trace.grad2)
        return float((logs.max(axis=1) - logs.min(axis=1)).mean())

    back = equilibration_time(base.lr, base.weight_decay, first.unit_grad2.mean(axis=0)[0], first.norm2[0, 0])
    return (
        f"growth a layer {math.exp(_slopes(base, np.log(first.unit_grad2)).mean()):.3f}; gradient norms span "
        f"{decades(first):.1f} decades before the first step, {decades(second):.1f} after it; the "
        f"first layer needs {float(back):.0f} steps to come back"
    )


def _figures(base: Deep, runs: _Runs) -> dict[str, Figure]:
    n = base.looks[0]
    layers = np.arange(1.0, base.net.depth + 1.0)
    mean = [np.exp(0.5 * np.log(runs.first(n, step).grad2).mean(axis=0)) for step in (0, 1)]
    law = mean[0][-ENDS] * gradient_growth() ** (0.5 * (base.net.depth + 1 - ENDS - layers))
    turned = runs.rotation(n)
    ones = np.ones(base.net.depth)
    low, high = np.quantile(1.0 + turned, (0.05, 0.95), axis=0)
    room = ROTATION_TOLERANCE + 0.5 * NORM_CHANGE / base.window
    theory = Series(name="pi/(pi-1) a layer", kind="line", role="predicted", x=layers, y=law)
    gradients = Figure(
        name=file_name(TEXT.id, base.title, "gradients"),
        title=f"{base.title}: gradients",
        x_label="layer, from the input",
        y_label="norm of the gradient",
        y_log=True,
        series=(
            *(() if base.net.skips else (theory,)),
            Series(name="before the first step", kind="points", role="measured", x=layers, y=mean[0]),
            Series(name="after one step", kind="points", role="control", x=layers, y=mean[1]),
        ),
        caption="One step makes layers alike whose gradients were decades apart.",
    )
    rotation = Figure(
        name=file_name(TEXT.id, base.title, "rotation"),
        title=f"{base.title}: rotation",
        x_label="layer, from the input",
        y_label="rotation per step / theory",
        series=(
            Series(
                name="margin",
                kind="band",
                role="margin",
                x=layers,
                low=(1 - room) * ones,
                high=(1 + room) * ones,
            ),
            Series(name="runs, 5 % to 95 %", kind="band", role="measured", x=layers, low=low, high=high),
            Series(name="theory", kind="line", role="predicted", x=layers, y=ones),
            Series(
                name="mean of the runs", kind="points", role="measured", x=layers, y=1.0 + turned.mean(axis=0)
            ),
        ),
        caption="Every layer turns by arccos(1 - lambda_e) a step. A net without normalisation does not.",
    )
    return {"gradients": gradients, "rotation": rotation}


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
