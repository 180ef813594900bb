"""The accuracy of nets that differ in their norm only: reported beside each other and not judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from ilr_check.claims.claim import Context, Judged, Profile, Unit
from ilr_check.claims.figures import interval
from ilr_check.claims.findings import reported
from ilr_check.claims.function_space.trainings.functions import FunctionRuns, Functions, History, Stage
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import file_name
from ilr_check.data import DataSpec, SplitDigitsSpec, TangentNoise
from ilr_check.evidence import Figure, Measured
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import estimate

REPORTED = 1e-2
"""The chance that any of the intervals of a report misses; they share it."""


class Normed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A net with one kind of norm; with ``noise``, tangent noise is added to its gradients."""

    name: str
    net: NetSpec
    noise: TangentNoise | None = None


class NormAccuracy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nets that are trained with equal settings for ``length`` / (lr * weight_decay) steps; the first is the
    one that the others are compared with."""

    title: str
    nets: tuple[Normed, ...]
    lr: float
    weight_decay: float
    length: float = 5.0
    data: DataSpec = SplitDigitsSpec(label_noise=0.5)
    runs: int = 64
    initial_norm: float = 3.0

    def course(self, normed: Normed) -> History:
        """Return the training of one net."""
        steps = round(self.length / (self.lr * self.weight_decay))
        stage = Stage(steps=steps, lr=self.lr, weight_decay=self.weight_decay)
        return History(name=normed.name, phases=(stage,), initial_norm=self.initial_norm)


class AccuracyReport:
    """The accuracies as units of a claim, without any decision."""

    spec = NormAccuracy

    def __init__(self, claim: str, experiments: Sequence[NormAccuracy]) -> None:
        self._claim, self._experiments = claim, experiments

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """Return one unit for each experiment, in every profile."""
        return tuple(
            Unit(
                claim=self._claim,
                title=f"{self._claim}: {spec.title}",
                subject=msgspec.to_builtins(spec),
            )
            for spec in self._experiments
        )

    def judge(self, subject: dict[str, Any], context: Context) -> Judged:
        """Train every net and report held-out accuracy, and the loss there and on the training set."""
        spec = msgspec.convert(subject, type=NormAccuracy)
        steps = spec.course(spec.nets[0]).steps
        found = {normed.name: _trained(spec, number, context) for number, normed in enumerate(spec.nets)}
        name = file_name(self._claim, spec.title)
        rate = REPORTED / (4 * len(found))
        base, *others = found
        rows = [f"{norm}: {_words(functions, rate)}" for norm, functions in found.items()]
        findings = tuple(
            reported(
                group=f"accuracy of {norm}",
                subject=subject,
                quantity=f"held-out accuracy with {norm} less that with {base}",
                measured=_difference(found[norm], found[base], rate),
                n_runs=spec.runs,
                n_steps=steps,
                figure=name,
                message=(
                    "the theory does not predict how well a net with one norm classifies beside another; "
                    f"{'; '.join(rows)}; all intervals hold together at {REPORTED:g}"
                ),
            )
            for norm in others
        )
        return Judged(findings, (_figure(found, rate, name, spec.title),))


def _trained(spec: NormAccuracy, number: int, context: Context) -> Functions:
    """Return the functions of one net, in a lab of its own: so few run-steps do not repay compiling."""
    normed, count = spec.nets[number], len(spec.nets)
    course = spec.course(normed)
    own = replace(context, progress=lambda fraction: context.progress((number + fraction) / count))
    runs = FunctionRuns(Lab(own, spec.runs * course.steps), normed.net, spec.data, noise=normed.noise)
    return runs.population(course, (course.steps,)).at(course.steps, spec.runs)


def _difference(first: Functions, second: Functions, rate: float) -> Measured:
    gap = estimate([first.accuracy, second.accuracy], [1.0, -1.0], rate=rate)
    return Measured(value=gap.value, low=gap.low, high=gap.high)


def _words(functions: Functions, rate: float) -> str:
    told = []
    for what, values in (
        ("accuracy", functions.accuracy),
        ("held-out loss", functions.loss),
        ("loss on the training set", functions.train_loss),
    ):
        mean = estimate([values], [1.0], rate=rate)
        told.append(f"{what} {mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]")
    return ", ".join(told)


def _figure(found: dict[str, Functions], rate: float, name: str, title: str) -> Figure:
    means = [estimate([functions.accuracy], [1.0], rate=rate) for functions in found.values()]
    names = ", ".join(f"{number} {norm}" for number, norm in enumerate(found, start=1))
    return Figure(
        name=name,
        title=title,
        x_label="norm",
        y_label="held-out accuracy",
        series=(interval("held-out accuracy", np.arange(1.0, 1.0 + len(found)), *zip(*means, strict=True)),),
        caption=f"Norms: {names}. The theory does not predict these differences. Nothing here is judged.",
    )
