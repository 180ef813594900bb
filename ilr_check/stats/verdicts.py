"""The decision: what a judgement says, and the one place where the verdict is chosen.

``holds``: the interval of level 1 - 2 false_pass lies inside the margin, and every rival is excluded.
``violated``: the interval of level 1 - false_fail lies outside the margin. Otherwise ``inconclusive``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

VerdictWord = Literal["holds", "violated", "inconclusive"]


class SearchError(RuntimeError):
    """A p-value, an interval or a verdict was requested inside a Hypothesis search."""


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A wrong theory, close to the right one, that the same data must exclude.

    ``expected`` is its prediction of the estimand: one number, or one per point if the estimand is a curve.
    """

    name: str
    expected: float | tuple[float, ...]

    def __post_init__(self) -> None:
        values = self.expected
        plain = tuple(map(float, values)) if isinstance(values, Iterable) else float(values)
        object.__setattr__(self, "expected", plain)


@dataclass(frozen=True, kw_only=True)
class RivalResult:
    """Whether the data exclude a rival. ``expected`` is ``None`` if the rival is a curve."""

    name: str
    expected: float | None
    excluded: bool


@dataclass(frozen=True, kw_only=True)
class Band:
    """A simultaneous band over the points of a curve, with everything that its figure needs."""

    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    fail_low: tuple[float, ...]
    fail_high: tuple[float, ...]
    margin_low: tuple[float, ...]
    margin_high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One verdict and everything that it is based on.

    ``low`` and ``high`` bound the interval that decides ``holds``; this is the interval to report.
    ``fail_low`` and ``fail_high`` bound the wider interval that decides ``violated``. For a curve they are
    taken at the point that lies worst in its margin, and ``band`` has the rest. ``detectable`` is the
    smallest deviation from theory that would be found violated with probability 0.95, at the observed
    standard deviation. ``false_fail`` and ``false_pass`` are the promise of the whole design, over all its
    looks. A margin without a bound on one side has ``None`` there. If the data determine no estimate, it is
    NaN and its interval is infinite.
    """

    verdict: VerdictWord
    estimand: str
    estimate: float
    low: float
    high: float
    fail_low: float
    fail_high: float
    expected: float
    margin_low: float | None
    margin_high: float | None
    margin_reason: str
    detectable: float
    false_fail: float
    false_pass: float
    rivals: tuple[RivalResult, ...]
    n_runs: int
    look: int
    notes: tuple[str, ...]
    band: Band | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as plain data for JSON, with ``None`` for numbers that are not finite."""
        plain: dict[str, Any] = _json_numbers(asdict(self))
        return plain


def _json_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_numbers(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def confirmation_only(what: str) -> None:
    """Refuse to compute ``what`` inside a Hypothesis search, by raising ``SearchError``.

    A search looks for inputs that fail, so an error rate computed inside it belongs to a selected input and
    means nothing. Every decision and every p-value of this package calls this function.
    """
    hypothesis = sys.modules.get("hypothesis")
    if hypothesis is not None and hypothesis.currently_in_test_context():
        raise SearchError(
            f"{what} was requested inside a Hypothesis search, which selects the inputs that fail, so its "
            "error rate would mean nothing. Draw a fixed number of specs first, parametrise over them, and "
            "decide each one once; inside @given assert exact claims only."
        )


def word(
    *, inside: bool, outside: bool, rivals: tuple[RivalResult, ...], weakness: str | None
) -> VerdictWord:
    """Return the verdict. A design that is too weak for its promise can only be inconclusive."""
    if weakness is not None:
        return "inconclusive"
    if outside:
        return "violated"
    if inside and all(rival.excluded for rival in rivals):
        return "holds"
    return "inconclusive"
