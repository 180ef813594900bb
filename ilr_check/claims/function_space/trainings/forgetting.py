"""Claims that histories are forgotten: populations that must end as one, and one that must not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Judged, Profile, Workload
from ilr_check.claims.figures import line
from ilr_check.claims.function_space.trainings.functions import FunctionRuns, Functions, History
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw, file_name
from ilr_check.claims.settings.full_size import is_full_size
from ilr_check.data import DataSpec
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import ContrastEquivalence, DistributionEquivalence, label_distribution_distance
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
"""The share of the control's difference that counts as no difference. An energy distance grows like the
square of a small difference and the loss like the difference itself, so each allows less than a third of the
control's difference. A control of four times lambda_e doubles the effective LR, so a tenth of its logarithm
is 7 %."""

EARLIER: tuple[Quantity, ...] = ("log effective lr", "earlier loss")
"""Quantities that are judged when the last phase begins, where that phase is the flow after an equilibrium.
The others are judged at its end."""

CONTRASTS: dict[Quantity, str] = {
    "loss": "held-out loss difference",
    "log effective lr": "difference of log effective LR before the last phase",
    "earlier loss": "held-out loss difference before the last phase",
}
"""Quantities that are one number a run, in words; the others are distributions."""

FRACTIONS = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)
"""Times within the last phase at which the figure shows the distances, as parts of it."""

DISTANCES = "distances"
"""The figure of a contest."""


class Contest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``others`` must end as the functions that ``reference`` ends as; ``control`` must end as others.

    The last phases of all but the control have equally many steps. The quantities in ``planned`` are judged.
    For each, ``planned`` gives the run-to-run standard deviation of the excess and the control's effect, with
    which the design is checked before any training, or None where neither is known.
    """

    title: str
    net: NetSpec
    data: DataSpec
    reference: History
    others: tuple[History, ...]
    control: History
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
    def courses(self) -> tuple[History, ...]:
        """The courses of all populations."""
        return (self.reference, *self.others, self.control)

    @property
    def steps(self) -> int:
        """The steps of one run of every population."""
        return sum(course.steps for course in self.courses)

    def workload(self) -> Workload | None:
        """Return what is trained, where that is a net in full size."""
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


class ContestRuns:
    """The populations of a contest, by the name of their course."""

    def __init__(self, contest: Contest, lab: Lab) -> None:
        runs = FunctionRuns(
            lab,
            contest.net,
            contest.data,
            probes=contest.probes,
            batch_size=contest.batch_size,
            lanes=fewer_lanes(contest.net, lab.context.device, contest.looks[0]),
        )
        self.contest = contest
        self._populations = {c.name: runs.population(c, _times(c)) for c in contest.courses}

    def at(self, course: History, step: int, n: int) -> Functions:
        """Return the functions of ``n`` runs of a course after ``step`` steps."""
        return self._populations[course.name].at(step, n)

    def last_phase(self, course: History, n: int) -> list[Functions]:
        """Return the functions of ``n`` runs of a course at ``FRACTIONS`` of its last phase."""
        return [self.at(course, step, n) for step in _times(course)]

    def read(self, course: History, quantity: Quantity, n: int) -> Array:
        """Return a quantity of ``n`` runs of a course, [n] or [n, numbers]."""
        functions = self.at(course, _times(course)[0] if quantity in EARLIER else course.steps, n)
        if quantity == "labels":
            return functions.labels.astype(float)
        if quantity == "probabilities":
            return functions.probabilities
        if quantity == "log effective lr":
            return np.asarray(np.log(course.phases[-2].lr) - np.log(functions.norm2))
        return functions.loss


Seen = Examined[Contest, ContestRuns]


@dataclass(frozen=True, kw_only=True)
class ForgettingQuestion:
    """The question whether populations with different histories end as one; ``law`` asks it."""

    text: ClaimText
    contests: Callable[[Profile, int], Sequence[Contest]]
    quantities: tuple[Quantity, ...]
    control_words: str
    """How the control differs."""
    caption: str

    def law(self) -> StatisticalLaw[Contest, ContestRuns]:
        """Return the statistical law that asks this: one decision for each population and quantity."""
        return StatisticalLaw(
            text=self.text,
            spec=Contest,
            experiments=self.contests,
            run_steps=lambda contest: contest.looks[0] * contest.steps,
            trained=ContestRuns,
            parts=self._parts,
            design=self._design,
            sample=_three,
            steps=lambda contest, part: part.what[0].steps,
            form="prediction",
            message=_words,
            closing=self._closing,
            workload=Contest.workload,
        )

    def _parts(self, contest: Contest) -> list[Part]:
        judged = [quantity for quantity in self.quantities if quantity in contest.planned]
        return [
            Part(
                f"{other.name}: {quantity}",
                what=(other, quantity),
                name=f"{other.name}/{quantity}",
                figure=DISTANCES,
            )
            for other in contest.others
            for quantity in judged
        ]

    def _design(
        self, contest: Contest, part: Part, alpha: float
    ) -> DistributionEquivalence | ContrastEquivalence:
        quantity: Quantity = part.what[1]
        theta = THETA[quantity]
        sd, effect = contest.planned[quantity] or (None, None)
        about: dict[str, Any] = {
            "theta": theta,
            "margin_reason": f"{theta:g} of the difference that {self.control_words} makes",
            "looks": contest.looks,
            "false_fail": alpha,
            "sd": sd,
            "effect": effect,
        }
        if quantity in CONTRASTS:
            estimand = f"{CONTRASTS[quantity]}, less {theta:g} of the control's"
            return ContrastEquivalence(estimand=estimand, **about)
        return DistributionEquivalence(
            estimand=f"energy distance of {quantity}, less {theta:g} of the control's",
            metric="hamming" if quantity == "labels" else "euclidean",
            **about,
        )

    def _closing(self, contest: Contest, runs: ContestRuns, subject: dict[str, Any], n: int) -> Judged:
        reference = runs.last_phase(contest.reference, n)
        x = np.array(FRACTIONS) * contest.reference.phases[-1].steps

        def curve(course: History) -> list[float]:
            return [label_distance(a, b) for a, b in zip(reference, runs.last_phase(course, n), strict=True)]

        figure = Figure(
            name=file_name(self.text.id, contest.title, DISTANCES),
            title=contest.title,
            x_label="steps since the last phase began",
            y_label=f"squared distance of label distributions from {contest.reference.name!r}",
            series=(
                *(line(course.name, "measured", x, curve(course)) for course in contest.others),
                line(f"control: {contest.control.name}", "control", x, curve(contest.control)),
            ),
            caption=self.caption,
        )
        return Judged((), (figure,))


def label_distance(first: Functions, second: Functions) -> float:
    """Return the unbiased sum_k (p_k - q_k)^2 of the label distributions at a probe, mean over probes."""
    classes = np.arange(first.logits.shape[2])
    counts = [(f.labels[..., None] == classes).sum(axis=0) for f in (first, second)]
    return float(label_distribution_distance(*counts).mean())


def _times(course: History) -> tuple[int, ...]:
    last = course.phases[-1].steps
    return tuple(course.steps - last + round(f * last) for f in FRACTIONS)


def _three(runs: ContestRuns, part: Part, n: int) -> tuple[Array, ...]:
    """Return the reference, the population that must equal it, and the control."""
    other, quantity = part.what
    courses = (runs.contest.reference, other, runs.contest.control)
    return tuple(runs.read(course, quantity, n) for course in courses)


def _words(seen: Seen) -> str:
    contest, runs, n = seen.spec, seen.runs, seen.n
    three = (contest.reference, seen.part.what[0], contest.control)
    before = label_distance(*(runs.at(course, _times(course)[0], n) for course in three[:2]))
    at_end = [runs.at(course, course.steps, n) for course in three]
    distances = [label_distance(at_end[0], at_end[k]) for k in (1, 2)]
    accuracy = ", ".join(
        f"{f.accuracy.mean():.4f} +- {f.accuracy.std(ddof=1) / np.sqrt(n):.4f}" for f in at_end
    )
    return (
        f"squared distance of label distributions, mean over probes: {before:.4f} as the last phase began, "
        f"{distances[0]:.4f} at its end, {distances[1]:.4f} to the control; held-out accuracy of the "
        f"reference, of this population, of the control: {accuracy}"
    )
