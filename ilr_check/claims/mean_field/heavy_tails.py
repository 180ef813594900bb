"""Noise without a variance: the powers of lambda_e become 1/alpha, and the rotation stays as it is."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.mean_field.trainings.tail_designs import LINEAR, OWN_SHARE, PARTS, TYPICAL, Part
from ilr_check.claims.mean_field.trainings.tail_recursion import predicted
from ilr_check.claims.mean_field.trainings.tailed import Tailed, TailedRuns
from ilr_check.claims.populations import decision_name, file_name, finding_of, judged_groups
from ilr_check.claims.settings.nets import NARROW
from ilr_check.data import DigitsSpec, HeavyTailedNoise, TeacherStudentSpec
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, Series
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import Rival, examine, hill
from ilr_check.theory.heavy_tails import effective_lr_exponent

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="heavy-tails",
    title="Gradient noise without a variance",
    statement=(
        "Under tangent noise of tail index alpha < 2 the effective LR of equilibrium goes as "
        "lambda_e^(1/alpha), and after a drop of the LR by k it ends at k^(-1/alpha); beyond 2 the exponent "
        "is 1/2. Its level is that of the recursion of the norm. The mean of log cos of the rotation is "
        "log(1 - lr*wd) for every tail."
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
        "The largest gradients do not reach the weights as they are (clipping, normalising), or weight decay "
        "does not scale as lr * weight_decay."
    ),
    blind=(
        "whether a net's own noise has such a tail: a smooth loss on the sphere and a finite data set bound "
        "it. Its tail index is estimated beside, and reported without a verdict."
    ),
)

OWN_RUNS, OWN_TOP = 32, 0.05
"""Runs without added noise, and the share of their largest gradients that the tail is read off."""

SIZE = 60.0
"""Shortest Pareto gradient at unit norm; the nets here have squared gradients of 10 to 45 of their own."""

SHALLOW = MLPSpec(inputs=64, widths=(24,), classes=10)
"""One tensor: noise has to be drawn for every weight, and every group is trained long."""


def experiments(profile: Profile, seed: int) -> list[Tailed]:
    """Tails of 1.2 and, as the control, 4; other tails, another shape and another net beyond ``quick``."""

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


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """One unit a tail, with three decisions an invariant group."""
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {tailed.title}",
            subject=msgspec.to_builtins(tailed),
            decisions=tuple(
                _decision(tailed, group, part) for group in judged_groups(tailed.net) for part in PARTS
            ),
        )
        for tailed in experiments(profile, seed)
    )


def judge(
    subject: dict[str, Any],
    context: Context,
    *,
    rule: UpdateRule = plain,
    noise: HeavyTailedNoise | None = None,
) -> Judged:
    """Judge every group in three decisions; tests plant defects through ``rule`` and ``noise``."""
    tailed = msgspec.convert(subject, type=Tailed)
    runs = TailedRuns(tailed, context, rule=rule, noise=noise)
    steps = sum(tailed.steps(stage) for stage in range(len(tailed.intrinsic_lrs)))
    findings: list[Finding] = []
    figures: list[Figure] = []
    for group, tensors in judged_groups(tailed.net).items():
        if len(tensors) > 1:
            raise ValueError(f"the tensors of group {group} have noise of their own each; take groups of one")
        figure, used = file_name(TEXT.id, tailed.title, group), 0
        for part in PARTS:
            design = part.design(tailed, context.alpha(_decision(tailed, group, part)))
            examination = examine(design, partial(part.data, runs, tensors))
            n = examination.runs_used
            used = max(used, n)
            alpha = runs.own_share(tensors) if n else 0.0
            finding = finding_of(
                examination,
                form=part.form,
                group=group,
                subject=subject,
                n_steps=steps if n else 0,
                figure=figure if n else "",
                message=_words(alpha) if n else "",
                rival_values={r.name: _farthest(r) for r in design.rivals},
            )
            findings.append(finding if alpha <= OWN_SHARE else replace(finding, verdict="inconclusive"))
        if used:
            figures.append(_figure(runs, tensors, figure, f"{tailed.title}, {group}"))
        if tailed.own_steps:
            findings.append(_own_tail(runs, tensors, group, subject))
    return Judged(tuple(findings), tuple(figures))


def _own_tail(runs: TailedRuns, tensors: tuple[str, ...], group: str, subject: dict[str, Any]) -> Finding:
    """The tail index of the net's own minibatch gradients, which the reviewer asked for; no verdict."""
    lengths = runs.own_gradients(tensors, OWN_RUNS)
    inverse = hill(lengths, max(10, round(OWN_TOP * lengths.shape[1])))
    middle, half = float(inverse.mean()), 3.0 * float(inverse.std(ddof=1)) / math.sqrt(OWN_RUNS)
    pooled = lengths.ravel()
    deeper = ", ".join(
        f"{top:.1%}: {1.0 / float(hill(pooled, round(top * pooled.size))):.1f}" for top in (0.1, 0.01, 0.002)
    )
    return Finding(
        form="raw",
        group=group,
        subject=subject,
        verdict="skipped",
        quantity="tail index of the net's own minibatch gradients (Hill)",
        measured=Measured(1.0 / middle, 1.0 / (middle + half), 1.0 / max(middle - half, 1e-9)),
        expected=None,
        margin=Margin(),
        n_runs=OWN_RUNS,
        n_steps=2 * runs.tailed.own_steps,
        dtype="float32",
        counts=False,
        message=(
            f"reported, not judged: lengths at unit norm, largest {OWN_TOP:.0%} of each run's; of all runs' "
            f"together, largest {deeper}. Below 2 the gradient would have no variance; an index that grows "
            f"as one looks farther out is that of a bounded or thin tail. Largest over median "
            f"{float(pooled.max() / np.median(pooled)):.1f}"
        ),
    )


def _words(alpha: float) -> str:
    words = f"the net's own squared gradient is {alpha:.4f} of size squared"
    return words if alpha <= OWN_SHARE else f"{words}, more than {OWN_SHARE}: not decided; raise size"


def _decision(tailed: Tailed, group: str, part: Part) -> str:
    return f"{decision_name(TEXT.id, tailed, group)}/{part.name}"


def _farthest(rival: Rival) -> float:
    values = np.atleast_1d(np.asarray(rival.expected, dtype=np.float64))
    return float(values[np.abs(values).argmax()])


def _figure(runs: TailedRuns, tensors: tuple[str, ...], name: str, title: str) -> Figure:
    """Levels against lambda_e with the powers through their middle; the drop's end beside them."""
    tailed = runs.tailed
    n = tailed.looks[0]
    x = np.array(tailed.intrinsic_lrs)
    logs = [np.log(runs.effective_lr(stage, tensors, n)) for stage in range(len(x))]
    y = np.array([values.mean() for values in logs])
    half = np.array([3.0 * values.std(ddof=1) / math.sqrt(n) for values in logs])
    order = np.argsort(x)
    middle, log_x = y[:-1].mean(), np.log(x) - np.log(x[:-1]).mean()

    def power(exponent: float) -> Array:
        return np.asarray(np.exp(middle + exponent * log_x[order]))

    def interval(label: str, role: Any, part: slice) -> Series:
        low, high = np.exp(y[part] - half[part]), np.exp(y[part] + half[part])
        return Series(
            name=label, kind="interval", role=role, x=x[part], y=np.exp(y[part]), low=low, high=high
        )

    theory = effective_lr_exponent(tailed.noise.tail)
    other = 0.5 if tailed.noise.tail < 2.0 else 1.0 / tailed.noise.tail
    recursion = np.log(predicted(tailed).effective_lr).mean(axis=1)
    return Figure(
        name=name,
        title=title,
        x_label="lambda_e",
        y_label="effective LR of equilibrium",
        x_log=True,
        y_log=True,
        series=(
            Series(name=f"lambda_e^{theory:.2f}", kind="line", role="reference", x=x[order], y=power(theory)),
            Series(
                name="the recursion, nothing measured",
                kind="line",
                role="predicted",
                x=x[order],
                y=np.exp(recursion[order]),
            ),
            Series(
                name=f"rival: lambda_e^{other:.2f}", kind="line", role="rival", x=x[order], y=power(other)
            ),
            interval("measured", "measured", slice(0, len(x) - 1)),
            interval(f"after lr -> lr/{tailed.factor:g}", "control", slice(len(x) - 1, len(x))),
        ),
        caption=(
            f"Noise of tail index {tailed.noise.tail:g}. The slope of the points is the exponent; the point "
            "of the dropped LR lies on the same line, since only lr * weight_decay matters."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
