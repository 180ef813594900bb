"""Added noise without a variance: the exponents of lambda_e become 1/alpha, and the rotation stays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.law import Examined, Part, StatisticalLaw, invariant_groups
from ilr_check.claims.mean_field.trainings.tail_designs import (
    DESIGNS,
    LINEAR,
    OWN_SHARE,
    SAMPLES,
    TYPICAL,
)
from ilr_check.claims.mean_field.trainings.tail_recursion import predicted
from ilr_check.claims.mean_field.trainings.tailed import Tailed, TailedRuns
from ilr_check.claims.mistakes import Mistake, too_much_decay, wrong_exponent
from ilr_check.claims.settings.nets import NARROW
from ilr_check.data import DigitsSpec, HeavyTailedNoise, TeacherStudentSpec
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, Series
from ilr_check.evidence.records import Premise
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.stats import hill
from ilr_check.theory.heavy_tails import effective_lr_exponent

Array = NDArray[np.float64]
Seen = Examined[Tailed, TailedRuns]

TEXT = ClaimText(
    id="heavy-tails",
    title="Under noise without a variance the exponent is 1/alpha",
    statement=(
        "Noise with tail index alpha is added to the gradient. With alpha < 2 it has no variance, and the "
        "effective LR lr / ||w||^2 of equilibrium is proportional to lambda_e^(1/alpha), where lambda_e = "
        "lr * weight_decay. After the LR is divided by k it ends at k^(-1/alpha) of its old value. With "
        "alpha > 2 the exponent is 1/2. The level is that of the recursion of the norm. The rotation theta "
        "of a step has the mean log cos theta = log(1 - lambda_e) for every alpha."
    ),
    equation="effLR* ~ λₑ^(1/min(α, 2)),  effLR_end/effLR = k^(−1/min(α, 2)),  E log cos θ = log(1 − ηλ)",
    source="asked by reviewer 1; scaling of r′² = a²r² + η²‖g‖², Li, Lyu, Arora 2020, section 2",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=(
        "exponent 1/2",
        "exponent 1/alpha^2",
        "exponent 1/alpha",
        "exponent 1",
        "exponent 0",
        LINEAR,
        TYPICAL,
    ),
    meaning=(
        "The largest gradients do not reach the weights unchanged (they are clipped or normalised), or "
        "weight decay does not shrink the weights by lr * weight_decay."
    ),
    blind=(
        "whether a net's own noise has such a tail. A smooth loss on the sphere and a finite data set bound "
        "it. The tail index of the net's own gradients is reported without a verdict."
    ),
)

OWN_RUNS, OWN_TOP = 32, 0.05
"""Runs without added noise, and the share of their largest gradients from which the tail is estimated."""

SIZE = 60.0
"""The shortest Pareto gradient at unit norm. These nets have squared gradients of 10 to 45 themselves."""

SHALLOW = MLPSpec(inputs=64, widths=(24,), classes=10)
"""It has one tensor, because noise is drawn for every weight and the trainings are long."""


def experiments(profile: Profile, seed: int) -> list[Tailed]:
    """Return tail indices 1.2 and, as the control, 4; beyond ``quick`` also other tails, shapes and nets."""

    def pareto(tail: float, **more: Any) -> Tailed:
        return Tailed(
            title=f"digits, Pareto noise of tail {tail:g}",
            net=SHALLOW if profile == "quick" else NARROW,
            data=DigitsSpec(label_noise=0.5),
            noise=HeavyTailedNoise(size=SIZE, tail=tail),
            **more,
        )

    found = [pareto(1.2, own_steps=400), pareto(4.0, window=6.0)]
    if profile != "quick":
        generated = TeacherStudentSpec(inputs=16, classes=10, examples=256, label_noise=0.5)
        found += [
            pareto(1.5),
            Tailed(
                title="LayerNorm net, Student noise of tail 1.2",
                net=MLPSpec(inputs=16, widths=(24,), classes=10, norm=NormSpec(kind="layer")),
                data=generated,
                noise=HeavyTailedNoise(size=SIZE, tail=1.2, shape="student"),
                own_steps=400,
            ),
        ]
    return found


def parts(tailed: Tailed) -> tuple[Part, ...]:
    """Return three parts for each group. Raises ``ValueError`` where a group has several tensors."""
    groups = invariant_groups(tailed)
    for part in groups:
        if len(part.tensors) > 1:
            raise ValueError(
                f"each tensor of the group {part.group} would have its own noise; use groups of one tensor"
            )
    return tuple(
        Part(part.group, part.tensors, what, f"{part.group}/{what}", part.group)
        for part in groups
        for what in DESIGNS
    )


def mistakes(tailed: Tailed, part: Part) -> tuple[Mistake, ...]:
    """Return the mistake near the margin of each part."""
    power = effective_lr_exponent(tailed.noise.tail)
    if part.what != "level and rotation":
        return (wrong_exponent(power),)
    return (too_much_decay(lambda factor: (factor**power - 1.0, factor - 1.0)),)


def _premises(seen: Seen) -> tuple[Premise, ...]:
    """The law is about the added noise, so the net's own gradient must be small beside it."""
    own = seen.runs.own_share(seen.tensors)
    return (
        Premise(
            name="the net's own squared gradient, as a share of size squared",
            measured=own,
            margin=Margin(low=0.0, high=OWN_SHARE),
            met=own <= OWN_SHARE,
        ),
    )


def _message(seen: Seen) -> str:
    own = seen.runs.own_share(seen.tensors)
    words = f"the net's own squared gradient is {own:.4f} of size squared"
    return (
        words
        if own <= OWN_SHARE
        else f"{words}, more than {OWN_SHARE}, so nothing is decided; use a larger size"
    )


def _findings(seen: Seen, main: Finding) -> tuple[Finding, ...]:
    last = seen.part.what == tuple(DESIGNS)[-1]
    return (main, _own_tail(seen)) if last and seen.spec.own_steps else (main,)


def _own_tail(seen: Seen) -> Finding:
    """Return the tail index of the net's own minibatch gradients; a reviewer asked for it. No verdict."""
    lengths = seen.runs.own_gradients(seen.tensors, OWN_RUNS)
    inverse = hill(lengths, max(10, round(OWN_TOP * lengths.shape[1])))
    middle, half = float(inverse.mean()), 3.0 * float(inverse.std(ddof=1)) / math.sqrt(OWN_RUNS)
    pooled = lengths.ravel()
    deeper = ", ".join(
        f"{top:.1%}: {1.0 / float(hill(pooled, round(top * pooled.size))):.1f}" for top in (0.1, 0.01, 0.002)
    )
    return Finding(
        form="raw",
        **{**seen.about(), "figure": ""},
        verdict="skipped",
        quantity="tail index of the net's own minibatch gradients (Hill)",
        measured=Measured(1.0 / middle, 1.0 / (middle + half), 1.0 / max(middle - half, 1e-9)),
        expected=None,
        margin=Margin(),
        n_runs=OWN_RUNS,
        n_steps=2 * seen.spec.own_steps,
        dtype="float32",
        counts=False,
        message=(
            f"reported and not judged: from the largest {OWN_TOP:.0%} of the lengths at unit norm of each "
            f"run; from the largest of all runs together, {deeper}. Below 2 the gradient would have no "
            "variance. An index that grows with smaller shares belongs to a bounded or thin tail. The "
            f"largest length is {float(pooled.max() / np.median(pooled)):.1f} times the median"
        ),
    )


def _figure(seen: Seen) -> Figure:
    """Draw levels against lambda_e with the powers through their middle, and the end of the drop."""
    tailed, n = seen.spec, seen.spec.looks[0]
    x = np.array(tailed.intrinsic_lrs)
    logs = [np.log(seen.runs.effective_lr(stage, seen.tensors, n)) for stage in range(len(x))]
    y = np.array([values.mean() for values in logs])
    half = np.array([3.0 * values.std(ddof=1) / math.sqrt(n) for values in logs])
    order = np.argsort(x)
    middle, log_x = y[:-1].mean(), np.log(x) - np.log(x[:-1]).mean()

    def power(exponent: float) -> Array:
        return np.asarray(np.exp(middle + exponent * log_x[order]))

    def measured(label: str, role: Any, part: slice) -> Series:
        low, high = np.exp(y[part] - half[part]), np.exp(y[part] + half[part])
        return interval(label, x[part], np.exp(y[part]), low, high, role=role)

    theory = effective_lr_exponent(tailed.noise.tail)
    other = 0.5 if tailed.noise.tail < 2.0 else 1.0 / tailed.noise.tail
    recursion = np.log(predicted(tailed).effective_lr).mean(axis=1)
    return Figure(
        name="",
        title="",
        x_label="lambda_e",
        y_label="effective LR of equilibrium",
        x_log=True,
        y_log=True,
        series=(
            line(f"lambda_e^{theory:.2f}", "reference", x[order], power(theory)),
            line("the recursion, nothing measured", "predicted", x[order], np.exp(recursion[order])),
            line(f"rival: lambda_e^{other:.2f}", "rival", x[order], power(other)),
            measured("measured", "measured", slice(0, len(x) - 1)),
            measured(f"after lr -> lr/{tailed.factor:g}", "control", slice(len(x) - 1, len(x))),
        ),
        caption=(
            f"Noise of tail index {tailed.noise.tail:g}. The slope of the points is the exponent. The point "
            "after the drop of the LR lies on the same line, because only lr * weight_decay matters."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Tailed,
    experiments=experiments,
    run_steps=lambda tailed: tailed.looks[0] * tailed.steps_of_all(),
    trained=TailedRuns,
    parts=parts,
    form="prediction",
    design=lambda tailed, part, alpha: DESIGNS[part.what](tailed, alpha),
    mistakes=mistakes,
    sample=lambda runs, part, n: SAMPLES[part.what](runs, part.tensors, n),
    steps=lambda tailed, part: tailed.steps_of_all(),
    message=_message,
    figure=_figure,
    premises=_premises,
    presupposes="the net's own squared gradient is small beside the added noise.",
    findings=_findings,
)
CLAIM = LAW.claim()
