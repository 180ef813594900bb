"""What is judged about late times of full-batch descent, with the derivation of each margin."""

from __future__ import annotations

import math
from collections.abc import Callable

from ilr_check.claims.function_space.trainings.loss_spikes import MARK, LateDescent
from ilr_check.claims.law import Part, rivals_at
from ilr_check.claims.mistakes import Mistake, mistake, too_much_decay
from ilr_check.stats import MeanEquivalence, SlopeEquivalence
from ilr_check.stats.design import Design
from ilr_check.theory.descent import edge_at_spike

GROWTH_TOLERANCE = 0.1
"""Tolerated in the growth between loss spikes: a quarter of the gradient that balances the decay lowers the
growth by 1/16."""

EDGE_GROWTH_TOLERANCE = 0.2
"""Tolerated in the growth at the edge of stability. The mean growth is 0 by the balance of the norm; a median
need not be."""

SLOPE_SHIFT, SLOPE_TOLERANCE = 0.1, 0.15
"""The time between spikes times 2 lambda_e is the fall of log Phi in a spike, about 3. It contains the
overshoot of the run, log(Phi lambda_max / 2), which grows by 0.3 to 0.4 over a factor 4 in lambda_e. So the
slope is lower by (0.4 / 3) / log 4 = 0.1. The rivals are 0.5 away."""

RISE, RISE_MOST = 5.0, 12.0
"""The log of the factor by which the unstable mode grows before a spike, and its largest value: from 1e-5 of
the width of its valley. No theory gives it; in runs of another seed it was 3.5 to 6 while lambda_e went from
0.004 to 0.032."""

EDGE_TOLERANCE = 0.1
"""Tolerated in log(Phi lambda_max / 2) beyond; the rivals are a factor 2 away.

At the edge a step turns by sqrt(2 lambda_e), so the points of a run lie about that far beside its valley. A
Hessian changes by its own size in a radian, so the largest curvature differs there by as large a share. The
change is of first order where several curvatures are nearly equal, of second order where one stands alone.
"""

NOISE_SHIFT, NOISE_TOLERANCE = 0.07, 0.15
"""A floor of noise that is 100 times higher takes log 100 = 4.6 off the unstable mode's rise of about 6. At
lambda_e = 0.02 this lowers the fall of log Phi, about 3, by 0.2, which is 0.07 of the time between spikes."""

ALONG_TOLERANCE = 0.1
"""Tolerated in the curvature along the step, for the part of the step along the weights, which is of order
lambda_e."""

FEWEST_LEVELS = 4
"""Levels of lambda_e that a slope needs."""

GROWTH, EDGE, UNDO = (
    Part(name, figure="path") for name in ("growth of Phi", "edge", "steps undo each other")
)
SLOPE = Part("period against 1/lambda_e", figure="periods")
NOISE = Part("period under noise", figure="periods")


def parts(descent: LateDescent) -> tuple[Part, ...]:
    """Return what is judged in a regime; the slope needs enough levels, and the last part noises."""
    if descent.regime == "open":
        return ()
    if descent.regime == "steady":
        return GROWTH, EDGE, UNDO
    slope = (SLOPE,) if len(descent.levels) >= FEWEST_LEVELS else ()
    return GROWTH, EDGE, *slope, *((NOISE,) if descent.noises else ())


def design(descent: LateDescent, part: Part, alpha: float) -> Design:
    """Return the design of one part; planned deviations are beyond those of 16 runs of another seed."""
    makers: dict[Part, Callable[[LateDescent, float], Design]] = {
        GROWTH: _growth,
        EDGE: _edge_at_spikes if descent.regime == "periodic" else _settled_edge,
        SLOPE: _slope,
        NOISE: _noise,
        UNDO: _undo,
    }
    return makers[part](descent, alpha)


def mistakes(descent: LateDescent, part: Part) -> tuple[Mistake, ...]:
    """Return the mistake near the margin of a part, where no rival of its design is near."""
    periodic = descent.regime == "periodic"
    kinds: dict[Part, Mistake] = {
        GROWTH: too_much_decay(float) if periodic else mistake("{} of the free growth is left", float),
        EDGE: mistake("an edge that is {} too high", lambda size: math.log1p(size)),
        NOISE: mistake("a period that is {} longer under stronger noise", lambda size: math.log1p(size)),
        UNDO: mistake("a curvature that is {} too large", lambda size: 1.0 + size),
    }
    return (kinds[part],) if part in kinds else ()


def _growth(descent: LateDescent, alpha: float) -> Design:
    estimand = f"growth of log Phi over -2 log(1 - lambda_e), median over stretches of {MARK:g}/lambda_e"
    if descent.regime == "periodic":
        return MeanEquivalence(
            estimand=estimand,
            theory=1.0,
            margin=(1.0 - GROWTH_TOLERANCE, 1.0 + GROWTH_TOLERANCE),
            margin_reason=f"tolerance {GROWTH_TOLERANCE:g} for the gradient that is left between loss spikes",
            rivals=rivals_at(("stays at the edge", 0.0), ("rate lambda_e", 0.5), ("rate 4 lambda_e", 2.0)),
            looks=descent.looks,
            false_fail=alpha,
            sd=0.02,
        )
    return MeanEquivalence(
        estimand=estimand,
        theory=0.0,
        margin=(-EDGE_GROWTH_TOLERANCE, EDGE_GROWTH_TOLERANCE),
        margin_reason=f"tolerance {EDGE_GROWTH_TOLERANCE:g}: the mean is 0, a median need not be",
        rivals=rivals_at(("loss spikes", 1.0)),
        looks=descent.looks,
        false_fail=alpha,
        sd=0.04,
    )


def _edge_at_spikes(descent: LateDescent, alpha: float) -> Design:
    at = min(descent.edge_levels)
    expected, highest = (math.log(edge_at_spike(at, rise)) for rise in (RISE, RISE_MOST))
    return MeanEquivalence(
        estimand=f"log(Phi lambda_max / 2) where a loss spike begins, lambda_e = {at:g}",
        theory=expected,
        margin=(-EDGE_TOLERANCE, highest + EDGE_TOLERANCE),
        margin_reason=(
            f"from 0, the edge, up to {highest:.2f}, while the unstable mode grows e^{RISE_MOST:g}-fold; "
            f"tolerance {EDGE_TOLERANCE:g}"
        ),
        rivals=_EDGES,
        looks=descent.looks,
        false_fail=alpha,
        sd=0.12,
    )


def _settled_edge(descent: LateDescent, alpha: float) -> Design:
    at = min(descent.edge_levels)
    beside = math.sqrt(2.0 * at)
    off = EDGE_TOLERANCE + beside
    return MeanEquivalence(
        estimand=f"log(Phi lambda_max / 2), median over states of a run, lambda_e = {at:g}",
        theory=0.0,
        margin=(-off, off),
        margin_reason=(
            f"{beside:.2g} as the curvature is taken a step's rotation beside the valley, tolerance "
            f"{EDGE_TOLERANCE:g}"
        ),
        rivals=_EDGES,
        looks=descent.looks,
        false_fail=alpha,
        sd=0.06,
    )


def _slope(descent: LateDescent, alpha: float) -> Design:
    off = SLOPE_SHIFT + SLOPE_TOLERANCE
    return SlopeEquivalence(
        estimand="slope of log(steps between loss spikes) against log(1/lambda_e)",
        levels=tuple(1.0 / level for level in descent.levels),
        theory=1.0,
        margin=(1.0 - off, 1.0 + off),
        margin_reason=(
            f"{SLOPE_SHIFT:g} as the run overshoots the edge by more at larger lambda_e, tolerance "
            f"{SLOPE_TOLERANCE:g}"
        ),
        rivals=rivals_at(("slope 1/2", 0.5), ("slope 2", 2.0)),
        looks=descent.looks,
        false_fail=alpha,
        sd=0.15,
    )


def _noise(descent: LateDescent, alpha: float) -> Design:
    off = NOISE_SHIFT + NOISE_TOLERANCE
    weak, strong = descent.noises
    return MeanEquivalence(
        estimand=f"log(steps between loss spikes under noise of {strong:g} / under noise of {weak:g})",
        theory=0.0,
        margin=(-off, off),
        margin_reason=(
            f"{NOISE_SHIFT:g} for {math.log(strong / weak):.1f} off the unstable mode's rise, "
            f"tolerance {NOISE_TOLERANCE:g}"
        ),
        rivals=rivals_at(("period set by the floor of noise", math.log(math.log(strong) / math.log(weak)))),
        looks=descent.looks,
        false_fail=alpha,
        sd=0.18,
    )


def _undo(descent: LateDescent, alpha: float) -> Design:
    return MeanEquivalence(
        estimand="curvature along a step times lr / 2, median over steps",
        theory=1.0,
        margin=(1.0 - ALONG_TOLERANCE, 1.0 + ALONG_TOLERANCE),
        margin_reason=f"tolerance {ALONG_TOLERANCE:g} for the part of a step along the weights",
        rivals=rivals_at(("steps without memory", 0.5), ("flow", 0.0)),
        looks=descent.looks,
        false_fail=alpha,
        sd=0.03,
    )


_EDGES = rivals_at(
    ("edge at Phi lambda_max = 1", -math.log(2.0)), ("edge at Phi lambda_max = 4", math.log(2.0))
)
