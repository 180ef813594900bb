"""Two populations, one from a large LR and one long settled, that meet at one lambda_e: at several levels."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.trainings.functions import (
    Course,
    FunctionPopulation,
    FunctionRuns,
    Phase,
)
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.rules import Rule
from ilr_check.optim.sgd import UpdateRule
from ilr_check.stats import Separation, separation

Array = NDArray[np.float64]

TIMES = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""When functions are looked at, in 1/lambda_e since the last phase began: closer where they change faster.
The same at every level, so that the trapezoid errs by one factor at all of them and no slope is touched."""

COUNTED = 1
"""The index of ``TIMES`` from which time is counted. Functions follow the norm with the lag that learning
takes, of order 1/(effective LR) or lambda_e^(-1/2) steps, and catch up as the last phase begins. Where that
is counted in, the slope comes out at 0.75 (a pilot with another seed, by which this was chosen)."""


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pairs of populations with different histories, at each of several levels of lambda_e.

    ``inverses`` are the 1/lambda_e, multiples of 16 steps. All lengths are in 1/lambda_e, and initial norms
    go as lambda_e^(-1/4), as the norm of equilibrium does: so every level starts at the same gamma_0/gamma*,
    and nothing but lambda_e differs. One population is ``hot`` before the last phase, ``hot`` times as much
    weight decay for 1/2; the other has the settings of the last phase for 3/2 before it. ``initial_norm`` is
    that of every tensor at 1/lambda_e = 256, of the settled one; it is near equilibrium.
    """

    title: str
    net: NetSpec
    data: DataSpec
    inverses: tuple[int, ...] = (32, 64, 128, 256, 512)
    lr: float = 0.5
    hot: float = 8.0
    initial_norm: float = 4.0
    probes: int = 397
    batch_size: int = 32
    planned: tuple[float, float] = (1.6, 0.15)
    """Run-to-run standard deviations of log time and of the share left that the design has to cope with: the
    largest of 128 pairs a level of another seed, at 1/lambda_e = 64 to 512, were 1.59 and 0.13."""
    looks: tuple[int, ...] = (224, 448)

    def __post_init__(self) -> None:
        if any(inverse % 16 for inverse in self.inverses):
            raise ValueError(f"inverses={self.inverses}: make them multiples of 16, so that looks are steps")

    def courses(self, inverse: int) -> tuple[Course, Course]:
        """The hot one and the settled one."""
        decay = 1.0 / (inverse * self.lr)

        def course(name: str, factor: float, length: float) -> Course:
            return Course(
                name=f"{name}, 1/lambda_e {inverse}",
                phases=(
                    Phase(steps=round(length * inverse), lr=self.lr, weight_decay=factor * decay),
                    Phase(steps=round(TIMES[-1] * inverse), lr=self.lr, weight_decay=decay),
                ),
                initial_norm=self.initial_norm * (inverse / 256 / factor) ** 0.25,
            )

        return course("hot", self.hot, 0.5), course("settled", 1.0, 1.5)


class Meetings:
    """The populations of all levels, and how far those of each are apart; tests plant through ``rule``."""

    def __init__(self, meeting: Meeting, context: Context, rule: UpdateRule | Rule) -> None:
        self.meeting = meeting
        courses = {inverse: meeting.courses(inverse) for inverse in meeting.inverses}
        runs = FunctionRuns(
            meeting.net,
            meeting.data,
            context,
            planned_run_steps=meeting.looks[0] * sum(c.steps for pair in courses.values() for c in pair),
            probes=meeting.probes,
            batch_size=meeting.batch_size,
            rule=rule,
        )
        self._populations = {
            inverse: [runs.population(c, _seen(c, inverse), record_every=inverse // 2) for c in pair]
            for inverse, pair in courses.items()
        }
        self._distances: dict[tuple[int, int], Separation] = {}

    def distances(self, inverse: int, n: int) -> Separation:
        """Energy distances of predicted probabilities at ``TIMES``, from the first ``n`` pairs."""
        if (inverse, n) not in self._distances:
            hot, settled = self._populations[inverse]
            looks = zip(_seen(hot.course, inverse), _seen(settled.course, inverse), strict=True)
            self._distances[inverse, n] = separation(
                (hot.at(a, n).probabilities, settled.at(b, n).probabilities) for a, b in looks
            )
        return self._distances[inverse, n]

    def log_times(self, inverse: int, n: int) -> Array:
        """Pseudo-values of log(integrated relaxation time in steps), [n]."""
        values = self.distances(inverse, n).pseudo_values(lambda d: np.log(relaxation_time(d)))
        return values + math.log(inverse)

    def left(self, inverse: int, n: int) -> Array:
        """Pseudo-values of the share of the initial distance left at the end, [n]."""
        return self.distances(inverse, n).pseudo_values(lambda d: d[..., -1] / d[..., 0])

    def starts(self, inverse: int, n: int) -> tuple[float, ...]:
        """gamma as the last phase begins over that 1/(2 lambda_e) later, of both populations; a mean."""
        return tuple(_gamma_ratio(p, inverse, n) for p in self._populations[inverse])


def relaxation_time(distances: Array) -> Array:
    """Integral of distances [..., len(TIMES)] from ``TIMES[COUNTED]`` on over the first one; in 1/lambda_e.

    An integral is linear in the distances, so noise about 0 leaves it unbiased; the first time at which a
    noisy curve is small is not. At least what the trapezoid gives if all is gone at the next look.
    """
    times, counted = TIMES[COUNTED:], distances[..., COUNTED:]
    gone = (times[1] - times[0]) / 2
    return np.maximum(np.trapezoid(counted, times, axis=-1) / counted[..., 0], gone)


def _seen(course: Course, inverse: int) -> tuple[int, ...]:
    return tuple(course.phases[0].steps + round(time * inverse) for time in TIMES)


def _gamma_ratio(population: FunctionPopulation, inverse: int, n: int) -> float:
    begin = population.course.phases[0].steps // (inverse // 2)
    norm2 = np.concatenate([trace.norm2 for trace in population.traces(n)], axis=1)[:, :n]
    gamma = (norm2**2).mean(axis=(1, 2))
    return float(gamma[begin] / gamma[-1])
