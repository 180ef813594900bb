"""Counts how often a rule makes an error, with exact binomial limits over all cells at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ilr_check.stats.design import Design
from ilr_check.stats.looks import Rates
from ilr_check.stats.power import POWER

What = Literal["false fail", "false pass", "power"]
LEVELS = (0.05, 0.01, 0.001)
CHUNK = 10_000
CONFIDENCE = 0.95
"""The probability that no cell at all is accused by chance (Bonferroni over the cells of a table)."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A decision rule in a situation whose truth is known.

    ``draw(generator, replicates, deviation)`` returns data with a leading replicate axis whose true deviation
    from theory is ``deviation``. ``within`` are deviations at which the claim is true (up to the margin), so
    that the false-fail rate bounds P(violated). ``beyond`` are deviations at which it is false (from the
    margin on), so that the false-pass rate bounds P(holds). ``power`` asks whether the ``detectable``
    deviation of a planned ``sd`` is detected. ``outside`` says why the promise does not cover a situation.
    Such a situation is measured and shown as well, and the rule has to notice it.
    """

    decision: str
    situation: str
    design: Design
    draw: Callable[[np.random.Generator, int, float], Any]
    within: tuple[float, ...] = ()
    beyond: tuple[float, ...] = ()
    power: bool = False
    sd: float | None = None
    detectable: Callable[[float], float] | None = None
    levels: tuple[float, ...] = LEVELS
    replicates: int | None = None
    outside: str = ""
    judge: Callable[[Design, Any, Rates], tuple[Any, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measured rate and its promise. An ``inflation`` above 1 is on the wrong side of the promise."""

    decision: str
    situation: str
    what: What
    at: float
    nominal: float
    promised: float
    count: int
    replicates: int
    noticed: float
    outside: str = ""
    low: float = field(default=0.0)
    high: float = field(default=1.0)

    @property
    def measured(self) -> float:
        """The measured rate."""
        return self.count / self.replicates

    @property
    def inflation(self) -> float:
        """The measured rate over the promised one. For power, misses over permitted misses."""
        if self.what == "power":
            return (1 - self.measured) / (1 - self.promised)
        return self.measured / self.promised

    @property
    def fails(self) -> bool:
        """Whether the simultaneous limit breaks the promise, in a situation that the promise covers."""
        if self.outside:
            return False
        return self.high < self.promised if self.what == "power" else self.low > self.promised


def clopper_pearson(count: int, replicates: int, error: float) -> tuple[float, float]:
    """Return the exact one-sided limits, each wrong with probability at most ``error``."""
    from scipy.special import betaincinv

    low = 0.0 if count == 0 else float(betaincinv(count, replicates - count + 1, error))
    high = 1.0 if count == replicates else float(betaincinv(count + 1, replicates - count, 1 - error))
    return low, high


def judge(design: Design, data: Any, rates: Rates) -> tuple[Any, Any]:
    """Return where the rule says ``holds`` and where ``violated``, for data with a replicate axis."""
    reading = design.read(design.summary(data), rates)
    return reading.inside, reading.outside


def tally(study: Study, replicates: int, seed: int) -> Iterator[Cell]:
    """Measure one study. Each chunk of replicates has its own seed, derived from the study's name."""
    name = f"{study.decision}/{study.situation}"
    points = dict.fromkeys((*study.within, *study.beyond))
    for deviation in points:
        passes = dict.fromkeys(study.levels, 0)
        fails = dict.fromkeys(study.levels, 0)
        noticed = done = 0
        while done < replicates:
            now = min(CHUNK, replicates - done)
            generator = np.random.default_rng([seed, done, *name.encode()])
            data = study.draw(generator, now, deviation)
            summary = None if study.judge else study.design.summary(data)
            for level in study.levels:
                rates = Rates(level, level)
                if study.judge:
                    inside, outside = study.judge(study.design, data, rates)
                else:
                    reading = study.design.read(summary, rates)
                    inside, outside = reading.inside, reading.outside
                    if level == study.levels[0]:
                        noticed += int(np.sum(np.asarray(reading.caution) > 0))
                passes[level] += int(np.sum(inside))
                fails[level] += int(np.sum(outside))
            done += now
        for level in study.levels:
            if deviation in study.within:
                yield _cell(study, "false fail", deviation, level, level, fails[level], replicates, noticed)
            if deviation in study.beyond:
                yield _cell(study, "false pass", deviation, level, level, passes[level], replicates, noticed)
    if study.power:
        yield from _power(study, replicates, seed, name)


def _power(study: Study, replicates: int, seed: int, name: str) -> Iterator[Cell]:
    """Measure P(violated) at the deviation that the design calls detectable."""
    for level in study.levels:
        rates = Rates(level, level)
        if study.detectable is not None:
            deviation = study.detectable(level)
        else:
            deviation = replace(study.design, false_fail=level).smallest_detectable(sd=study.sd)
        count = done = 0
        while done < replicates:
            now = min(CHUNK, replicates - done)
            generator = np.random.default_rng([seed, 1, done, *name.encode()])
            _, outside = (study.judge or judge)(study.design, study.draw(generator, now, deviation), rates)
            count += int(np.sum(outside))
            done += now
        yield _cell(study, "power", deviation, level, POWER, count, replicates, 0)


def _cell(
    study: Study,
    what: What,
    at: float,
    nominal: float,
    promised: float,
    count: int,
    replicates: int,
    noticed: int,
) -> Cell:
    return Cell(
        decision=study.decision,
        situation=study.situation,
        what=what,
        at=at,
        nominal=nominal,
        promised=promised,
        count=count,
        replicates=replicates,
        noticed=noticed / replicates,
        outside=study.outside,
    )


def cell_count(studies: Sequence[Study]) -> int:
    """Return how many cells ``studies`` have."""
    return sum(len(study.levels) * (len(study.within) + len(study.beyond) + study.power) for study in studies)


def limited(cells: Sequence[Cell], *, among: int = 0) -> list[Cell]:
    """Return the cells with exact limits that hold for all of them, or for all ``among`` cells, at once."""
    error = (1 - CONFIDENCE) / max(len(cells), among, 1)
    limits = [clopper_pearson(cell.count, cell.replicates, error) for cell in cells]
    return [replace(cell, low=low, high=high) for cell, (low, high) in zip(cells, limits, strict=True)]


def measure(studies: Sequence[Study], *, replicates: int = 200_000, seed: int = 0) -> list[Cell]:
    """Measure all ``studies``. The limits of the cells hold for all of them at once."""
    cells = [cell for study in studies for cell in tally(study, study.replicates or replicates, seed)]
    return limited(cells)


def failing(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that break their promise, worst first."""
    return sorted((cell for cell in cells if cell.fails), key=lambda cell: -cell.inflation)
