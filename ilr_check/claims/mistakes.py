"""Near rivals: the smallest mistakes that a decision excludes, between one and two margins from theory.

A rival that is many margins away says little about a verdict, because ``holds`` excludes it anyway. So each
decision also names a mistake that somebody could make, in a size that lies just outside of its margin. A
claim states the kind of mistake and what it would do to the estimand; the size follows from the margin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ilr_check.stats import Design, Rival
from ilr_check.stats.controlled import ControlledDesign

SIZES = (0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
"""The sizes in which a mistake is tried. Neighbours differ by less than a factor of 2, so that one of them
lies between one and two margins if the effect of the mistake is proportional to its size."""

MIDDLE = 1.5
"""Of several sizes, the one nearest to this many margins is taken."""

AnyDesign = TypeVar("AnyDesign", bound=Design)
Expected = float | Sequence[float]


@dataclass(frozen=True)
class Mistake:
    """A kind of mistake: its words and the estimand under it, both by its size."""

    words: Callable[[float], str]
    expected: Callable[[float], Expected]

    def near(self, design: Design) -> Rival | None:
        """Return this mistake in the size that lies nearest to 1.5 margins, if one lies between 1 and 2."""
        sized = [Rival(name=self.words(size), expected=_plain(self.expected(size))) for size in SIZES]
        found = [rival for rival in sized if design.is_near(rival)]
        return min(found, key=lambda rival: abs(design.margins_away(rival) - MIDDLE), default=None)


def _plain(expected: Expected) -> float | tuple[float, ...]:
    if isinstance(expected, int | float):
        return float(expected)
    return tuple(float(value) for value in expected)


def mistake(words: str, expected: Callable[[float], Expected]) -> Mistake:
    """Return a mistake whose ``words`` contain ``{}`` for its size, which is shown in per cent."""
    return Mistake(lambda size: words.format(f"{100 * size:g} %"), expected)


def too_much_decay(effect: Callable[[float], Expected]) -> Mistake:
    """Return the mistake of a weight decay that is too strong; ``effect`` takes the factor, such as 1.1."""
    return mistake("weight decay {} too strong", lambda size: effect(1.0 + size))


def wrong_exponent(theory: float, effect: Callable[[float], Expected] = float, *, of: str = "") -> Mistake:
    """Return the mistake of an exponent nearer to 0, such as 0.45 for 0.5; ``effect`` takes the exponent."""
    return Mistake(
        lambda size: f"exponent {theory * (1.0 - size):.4g} {of}".rstrip(),
        lambda size: effect(theory * (1.0 - size)),
    )


def with_near_rival(design: AnyDesign, mistakes: Sequence[Mistake]) -> AnyDesign:
    """Return the design with the first mistake that lies near, unless one of its rivals does already."""
    if any(design.is_near(rival) for rival in design.rivals):
        return design
    near = next((rival for rival in (kind.near(design) for kind in mistakes) if rival), None)
    return design if near is None else replace(design, rivals=(*design.rivals, near))


def without_near_rival(design: Design, *, inequality: bool) -> str:
    """Return why a design has no near rival, and nothing where it must have one. No other reason counts."""
    if isinstance(design, ControlledDesign):
        return "the margin is a share of the effect of a control, which is the rival and is measured"
    if inequality:
        return "theory gives a bound and no value, so that there is no distance from theory"
    return ""
