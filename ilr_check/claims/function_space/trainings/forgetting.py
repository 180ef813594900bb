"""Claims that histories are forgotten: populations that must end as one, and one that must not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit, Workload
from ilr_check.claims.function_space.trainings.functions import (
    Course,
    FunctionPopulation,
    FunctionRuns,
    Functions,
)
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.claims.settings.full_size import is_full_size
from ilr_check.data import DataSpec
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.stats import ContrastEquivalence, DistributionEquivalence, examine, label_distribution_distance
from ilr_check.train.choice import fewer_lanes

Array = NDArray[np.float64]
Quantity = Literal["labels", "probabilities", "loss", "log effective lr", "earlier loss"]

THETA = {
    "labels": 0.1,
    "probabilities": 0.1,
    "loss": 0.3,
    "log effective lr": 0.1,
    "earlier loss": 0.3,
}
"""Share of the control's difference that counts as none. An energy distance grows like the square of a small
difference and the loss like the difference itself, so each asks for under a third of the control's. Of the
effective LR a tenth is 7 %, at a control of four times lambda_e that doubles it."""

EARLIER: tuple[Quantity, ...] = ("log effective lr", "earlier loss")
"""Judged as the last phase begins, where that is the flow behind an equilibrium; the others at its end."""

CONTRASTS: dict[Quantity, str] = {
    "loss": "held-out loss difference",
    "log effective lr": "difference of log effective LR before the last phase",
    "earlier loss": "held-out loss difference before the last phase",
}
"""Quantities that are one number a run, in words; the others are distributions."""

FRACTIONS = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Of the last phase, where the figure shows the distances."""


class Contest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``others`` must end as the functions that ``reference`` ends as; ``control`` must end as others.

    The last phases of all but the control have equally many steps. What ``planned`` names is judged: it has
    the run-to-run standard deviation of the excess and the control's effect, by quantity, that the design is
    checked with before any training, or None for both where none is known.
    """

    title: str
    net: NetSpec
    data: DataSpec
    reference: Course
    others: tuple[Course, ...]
    control: Course
    planned: Mapping[str, tuple[float, float] | None]
    probes: int = 128
    batch_size: int = 32
    looks: tuple[int, ...] = (256, 768)

    def __post_init__(self) -> None:
        last = self.reference.phases[-1].steps
        for course in self.others:
            if course.phases[-1].steps != last:
                raise ValueError(
                    f"{course.name!r} ends with {course.phases[-1].steps} steps, the reference with {last}; "
                    "make the last phases equally long"
                )

    @property
    def courses(self) -> tuple[Course, ...]:
        """All populations."""
        return (self.reference, *self.others, self.control)

    @property
    def steps(self) -> int:
        """Of one run of every population."""
        return sum(course.steps for course in self.courses)

    def workload(self) -> Workload | None:
        """What is trained, if that is a net in full size."""
        if not is_full_size(self.net):
            return None
        return Workload(
            net=self.net,
            data=self.data,
            batch_size=self.batch_size,
            steps=self.steps,
            runs=self.looks[0],
            most_runs=self.looks[-1],
        )


@dataclass(frozen=True, kw_only=True)
class ForgettingLaw:
    """A claim that populations with different histories are equal as functions at the end."""

    text: ClaimText
    contests: Callable[[Profile, int], Sequence[Contest]]
    quantities: tuple[Quantity, ...]
    control_words: str
    """What the control differs in."""
    caption: str

    def claim(self) -> Claim:
        """The claim as the engine runs it."""
        return Claim(text=self.text, plan=self.plan, judge=self.judge)

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """One unit a contest, one decision a population and quantity."""
        return tuple(
            Unit(
                claim=self.text.id,
                title=f"{self.text.id}: {contest.title}",
                subject=msgspec.to_builtins(contest),
                decisions=tuple(
                    self._decision(contest, other, quantity)
                    for other in contest.others
                    for quantity in self._judged(contest)
                ),
                workload=contest.workload() if profile == "paper" else None,
            )
            for contest in self.contests(profile, seed)
        )

    def judge(self, subject: dict[str, Any], context: Context, *, rule: UpdateRule | Rule = plain) -> Judged:
        """Judge one contest; tests plant defects through ``rule``."""
        contest = msgspec.convert(subject, type=Contest)
        runs = FunctionRuns(
            contest.net,
            contest.data,
            context,
            planned_run_steps=contest.looks[0] * contest.steps,
            probes=contest.probes,
            batch_size=contest.batch_size,
            rule=rule,
            lanes=fewer_lanes(contest.net, context.device, contest.looks[0]),
        )
        populations = {c.name: runs.population(c, _times(c)) for c in contest.courses}
        figure = file_name(self.text.id, contest.title)
        findings: list[Finding] = []
        used = 0
        for other in contest.others:
            three = [populations[c.name] for c in (contest.reference, other, contest.control)]
            for quantity in self._judged(contest):
                design = self._design(contest, other, quantity, context)
                examination = examine(
                    design,
                    lambda n, three=three, quantity=quantity: tuple(  # type: ignore[misc]
                        _read(p, quantity, n) for p in three
                    ),
                )
                n = examination.runs_used
                used = max(used, n)
                findings.append(
                    finding_of(
                        examination,
                        form="transfer",
                        group=f"{other.name}: {quantity}",
                        subject=subject,
                        n_steps=other.steps if n else 0,
                        figure=figure if n else "",
                        message=_words(three, n) if n else "",
                    )
                )
        drawn = (self._figure(contest, populations, figure, used),) if used else ()
        return Judged(tuple(findings), drawn)

    def _judged(self, contest: Contest) -> tuple[Quantity, ...]:
        return tuple(quantity for quantity in self.quantities if quantity in contest.planned)

    def _decision(self, contest: Contest, other: Course, quantity: Quantity) -> str:
        return f"{self.text.id}/{contest.title}/{other.name}/{quantity}"

    def _design(
        self, contest: Contest, other: Course, quantity: Quantity, context: Context
    ) -> DistributionEquivalence | ContrastEquivalence:
        theta = THETA[quantity]
        sd, effect = contest.planned[quantity] or (None, None)
        alpha = context.alpha(self._decision(contest, other, quantity))
        reason = f"{theta:g} of the difference that {self.control_words} makes"
        if quantity in CONTRASTS:
            return ContrastEquivalence(
                estimand=f"{CONTRASTS[quantity]}, less {theta:g} of the control's",
                theta=theta,
                margin_reason=reason,
                looks=contest.looks,
                false_fail=alpha,
                sd=sd,
                effect=effect,
            )
        return DistributionEquivalence(
            estimand=f"energy distance of {quantity}, less {theta:g} of the control's",
            theta=theta,
            margin_reason=reason,
            looks=contest.looks,
            false_fail=alpha,
            sd=sd,
            effect=effect,
            metric="hamming" if quantity == "labels" else "euclidean",
            seed=context.seed % 2**31,
        )

    def _figure(
        self, contest: Contest, populations: dict[str, FunctionPopulation], name: str, n: int
    ) -> Figure:
        reference = populations[contest.reference.name]
        series = []
        for course in (*contest.others, contest.control):
            times = zip(_times(contest.reference), _times(course), strict=True)
            control = course is contest.control
            series.append(
                Series(
                    name=f"control: {course.name}" if control else course.name,
                    kind="line",
                    role="control" if control else "measured",
                    x=np.array(FRACTIONS) * contest.reference.phases[-1].steps,
                    y=np.array(
                        [
                            label_distance(reference.at(a, n), populations[course.name].at(b, n))
                            for a, b in times
                        ]
                    ),
                )
            )
        return Figure(
            name=name,
            title=contest.title,
            x_label="steps since the last phase began",
            y_label=f"squared distance of label distributions from {contest.reference.name!r}",
            series=tuple(series),
            caption=self.caption,
        )


def label_distance(first: Functions, second: Functions) -> float:
    """Unbiased sum_k (p_k - q_k)^2 of the label distributions at a probe, mean over probes."""
    classes = np.arange(first.logits.shape[2])
    counts = [(f.labels[..., None] == classes).sum(axis=0) for f in (first, second)]
    return float(label_distribution_distance(*counts).mean())


def _times(course: Course) -> tuple[int, ...]:
    last = course.phases[-1].steps
    return tuple(course.steps - last + round(f * last) for f in FRACTIONS)


def _read(population: FunctionPopulation, quantity: Quantity, n: int) -> Array:
    course = population.course
    functions = population.at(_times(course)[0] if quantity in EARLIER else course.steps, n)
    if quantity == "labels":
        return functions.labels.astype(float)
    if quantity == "probabilities":
        return functions.probabilities
    if quantity == "log effective lr":
        return np.asarray(np.log(course.phases[-2].lr) - np.log(functions.norm2))
    return functions.loss


def _words(three: Sequence[FunctionPopulation], n: int) -> str:
    before = label_distance(*(p.at(_times(p.course)[0], n) for p in three[:2]))
    at_end = [p.at(p.course.steps, n) for p in three]
    distances = [label_distance(at_end[0], at_end[k]) for k in (1, 2)]
    accuracy = ", ".join(
        f"{f.accuracy.mean():.4f} +- {f.accuracy.std(ddof=1) / np.sqrt(n):.4f}" for f in at_end
    )
    return (
        f"squared distance of label distributions, mean over probes: {before:.4f} as the last phase began, "
        f"{distances[0]:.4f} at its end, {distances[1]:.4f} to the control; held-out accuracy of the "
        f"reference, of this population, of the control: {accuracy}"
    )
