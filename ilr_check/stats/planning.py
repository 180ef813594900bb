"""Whether a design can keep its promise, and how many runs it takes: asked before any data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ilr_check.stats.budget import FLOOR
from ilr_check.stats.power import chance_of_reaching

if TYPE_CHECKING:
    from ilr_check.stats.design import Design


def weakness_of(design: Design, sd: float | None) -> str | None:
    """Say in one sentence why ``design`` can not keep its promise at run-to-run ``sd``; ``None`` if it can.

    Without ``sd`` only the number of runs and the rate are checked. Chances add up over both ends of the
    margin and over the points judged at once, so they err on the side of more runs.
    """
    if design.looks[0] < design.min_runs:
        return f"too weak: {design.looks[0]} runs, and this design needs {design.min_runs}"
    if design.false_fail < FLOOR * (1 - 1e-9):
        return (
            f"too weak: a false-fail share of {design.false_fail:.2g} is below {FLOOR:g}, where no "
            "interval is known to be right"
        )
    if sd is None:
        return None
    runs, last = design.looks[-1], len(design.looks) - 1
    error, degrees_of_freedom = design.standard_error(sd, runs), design.degrees_of_freedom(runs)
    tail = design.tail(design.rates(last).false_pass)
    missed = (
        sum(chance_of_reaching(room / error, tail, degrees_of_freedom) for room in design.room())
        * design.comparisons()
    )
    if missed > design.inconclusive:
        return (
            f"too weak: with {runs} runs of sd {sd:g} an exact theory stays inconclusive with "
            f"probability up to {min(missed, 1.0):.2g}, and {design.inconclusive:.2g} is allowed"
        )
    for rival in design.rivals:
        distance = design.rival_distance(rival)
        if chance_of_reaching(distance / error, tail, degrees_of_freedom) > design.inconclusive:
            return (
                f"too weak: rival {rival.name!r} is {distance:g} from theory and {runs} runs of sd "
                f"{sd:g} do not exclude it with probability {1 - design.inconclusive:.3g}"
            )
    if design.must_detect is not None:
        seen = design.smallest_detectable(sd=sd)
        if seen > design.must_detect:
            return (
                f"too weak: {runs} runs of sd {sd:g} detect a deviation of {seen:.3g}, and "
                f"{design.must_detect:g} has to be detected"
            )
    return None


def fewest_runs(enough: Callable[[int], bool], start: int, *, what: str) -> int:
    """Return the smallest count from ``start`` on that is enough, by doubling and bisection."""
    high = start
    while not enough(high):
        high *= 2
        if high > 10**7:
            raise ValueError(f"not even 10^7 runs are enough for {what}")
    low = high // 2
    while high - low > 1 and high > start:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(high, start)
