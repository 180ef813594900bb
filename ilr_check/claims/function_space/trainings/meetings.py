"""Two populations with different histories that come to one lambda_e, at several levels of lambda_e."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.function_space.trainings.functions import (
    FunctionPopulation,
    FunctionRuns,
    History,
    Stage,
)
from ilr_check.claims.lab import Lab
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.stats import Separation, separation
from ilr_check.stats.relaxation import fitted_rate

Array = NDArray[np.float64]

TIMES = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""When functions are evaluated, in units of 1/lambda_e since the last phase began. The times are closer where
functions change faster."""

COUNTED = 1
"""The index of ``TIMES`` from which time is counted. Functions lag behind the norm by the time of learning,
which is of order 1/(effective LR), or lambda_e^(-1/2) steps, and they catch up as the last phase begins. If
that stretch is counted, the slope is 0.75 (in a pilot with another seed, by which this was chosen)."""


TYPICAL = 1 / 8
"""Where the fit of the time begins: gamma forgets at 4 lambda_e, and its difference enters a distance of near
populations squared."""


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pairs of populations with different histories, at each of several levels of lambda_e.

    ``inverses`` are the values of 1/lambda_e, multiples of 16 steps. All lengths are in units of 1/lambda_e,
    and initial norms are proportional to lambda_e^(-1/4), as the norm at equilibrium is. So every level
    starts at the same gamma_0/gamma*, and only lambda_e differs. One population is hot before the last phase:
    it has ``hot`` times as much weight decay for a time of 1/2. The other population has the settings of the
    last phase for a time of 3/2 before it. ``initial_norm`` is the initial norm of every tensor of that other
    population at 1/lambda_e = 256; it is near equilibrium.
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
    """Planned run-to-run standard deviations of the log time and of the share of the distance that is left.
    The largest of 128 pairs a level with another seed, at 1/lambda_e = 64 to 512, were 1.59 and 0.13."""
    looks: tuple[int, ...] = (224, 448)

    def __post_init__(self) -> None:
        if any(inverse % 16 for inverse in self.inverses):
            raise ValueError(
                f"inverses={self.inverses}: use multiples of 16, so that every time is a whole step"
            )

    def courses(self, inverse: int) -> tuple[History, History]:
        """Return the hot training and the settled one."""
        decay = 1.0 / (inverse * self.lr)

        def course(name: str, factor: float, length: float) -> History:
            return History(
                name=f"{name}, 1/lambda_e {inverse}",
                phases=(
                    Stage(steps=round(length * inverse), lr=self.lr, weight_decay=factor * decay),
                    Stage(steps=round(TIMES[-1] * inverse), lr=self.lr, weight_decay=decay),
                ),
                initial_norm=self.initial_norm * (inverse / 256 / factor) ** 0.25,
            )

        return course("hot", self.hot, 0.5), course("settled", 1.0, 1.5)

    def run_steps(self) -> int:
        """Return the run-steps of the first look."""
        return self.looks[0] * sum(c.steps for inverse in self.inverses for c in self.courses(inverse))


class Meetings:
    """The populations of all levels, and the distance between the two populations of each level."""

    def __init__(self, meeting: Meeting, lab: Lab) -> None:
        self.meeting = meeting
        courses = {inverse: meeting.courses(inverse) for inverse in meeting.inverses}
        runs = FunctionRuns(
            lab, meeting.net, meeting.data, probes=meeting.probes, batch_size=meeting.batch_size
        )
        self._populations = {
            inverse: [runs.population(c, _seen(c, inverse), record_every=inverse // 2) for c in pair]
            for inverse, pair in courses.items()
        }
        self._distances: dict[tuple[int, int], Separation] = {}

    def distances(self, inverse: int, n: int) -> Separation:
        """Return energy distances of predicted probabilities at ``TIMES``, from the first ``n`` pairs."""
        if (inverse, n) not in self._distances:
            hot, settled = self._populations[inverse]
            looks = zip(_seen(hot.course, inverse), _seen(settled.course, inverse), strict=True)
            self._distances[inverse, n] = separation(
                (hot.at(a, n).probabilities, settled.at(b, n).probabilities) for a, b in looks
            )
        return self._distances[inverse, n]

    def log_times(self, inverse: int, n: int) -> Array:
        """Return pseudo-values of log(relaxation time in steps), [n]."""
        values = self.distances(inverse, n).pseudo_values(lambda d: np.log(relaxation_time(d)))
        return values + math.log(inverse)

    def left(self, inverse: int, n: int) -> Array:
        """Return pseudo-values of the share of the initial distance left at the end, [n]."""
        return self.distances(inverse, n).pseudo_values(lambda d: d[..., -1] / d[..., 0])

    def starts(self, inverse: int, n: int) -> tuple[float, ...]:
        """Return the mean gamma at the start of the last phase over that at its end, of both populations."""
        return tuple(_gamma_ratio(p, inverse, n) for p in self._populations[inverse])


def relaxation_time(distances: Array) -> Array:
    """Return the time in which distances [..., len(TIMES)] fall by a factor e, from ``TIMES[COUNTED]`` on.

    The unit is 1/lambda_e. One exponential that ends at 0 is fitted by least squares, which noise about 0
    leaves nearly unbiased; the first time at which a noisy curve is small would be biased. The fit has no
    floor: a sum over the times would be at least half of the first interval, which is proportional to
    1/lambda_e, so that a slope of 1/2 would be read as 0.55 to 0.85. Times outside of a factor 20 of
    ``TYPICAL`` are read as the end of that range.
    """
    times = np.array(TIMES[COUNTED:]) - TIMES[COUNTED]
    return np.asarray(
        TYPICAL * np.exp(-fitted_rate(distances[..., COUNTED:], times, 1.0 / TYPICAL, level=0.0))
    )


def _seen(course: History, inverse: int) -> tuple[int, ...]:
    return tuple(course.phases[0].steps + round(time * inverse) for time in TIMES)


def _gamma_ratio(population: FunctionPopulation, inverse: int, n: int) -> float:
    begin = population.course.phases[0].steps // (inverse // 2)
    norm2 = np.concatenate([trace.norm2 for trace in population.traces(n)], axis=1)[:, :n]
    gamma = (norm2**2).mean(axis=(1, 2))
    return float(gamma[begin] / gamma[-1])
