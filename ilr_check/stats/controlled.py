"""Equality by a margin that is a fraction of a known difference: the positive control.

"These two are equal" needs a scale: the effect of a control that must differ. The difference of
interest may be at most ``theta`` times that effect. If the control itself can not be told from the others,
the data could not have seen a difference, and the verdict is inconclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array
from ilr_check.stats.reading import finite

SIGN_SHARE = 0.1
"""Share of the false-pass rate spent on the control, the rest on the equality."""


@dataclass(frozen=True, kw_only=True)
class ControlledDesign(Design):
    """Fields common to designs with a positive control.

    The estimand is an excess: the difference of interest less ``theta`` times the control's effect; the claim
    is that it is below 0. ``effect`` is the control's planned effect, which with ``sd`` allows planning.
    Data: three independent samples (a, b, control) with a and b claimed equal.
    """

    theta: float
    effect: float | None = None
    margin: tuple[float, float] = (-math.inf, 0.0)

    def __post_init__(self) -> None:
        if not 0 < self.theta < 1:
            raise ValueError(
                f"theta is a fraction of the control's effect, between 0 and 1; got {self.theta}"
            )
        if self.effect is not None and self.effect <= 0:
            raise ValueError(f"effect is the size of the planned effect, positive; got {self.effect}")
        if self.margin != (-math.inf, 0.0) or self.theory != 0 or self.rivals:
            raise ValueError("margin, theory and rivals of this design are set by theta and the control")
        if self.sd is not None and self.effect is None:
            raise ValueError("planning with sd= needs effect= too, the control's planned effect")
        object.__setattr__(self, "margin", (-1.0, 1.0))
        super().__post_init__()
        object.__setattr__(self, "margin", (-math.inf, 0.0))

    def room(self) -> tuple[float, float]:
        """Return theta times the planned effect, on either side of equality."""
        if self.effect is None:
            raise ValueError(
                "give effect=, the control's planned effect: this design was planned without one"
            )
        return self.theta * self.effect, self.theta * self.effect

    def check_samples(self, data: Any, *, ndim: int) -> tuple[tuple[Array, Array, Array], int]:
        """Return the three samples and the size of the smallest."""
        if len(data) != 3:
            raise ValueError(f"the data are three samples (a, b, control), got {len(data)}")
        a, b, control = (
            finite(name, part, ndim=ndim) for name, part in zip(("a", "b", "control"), data, strict=True)
        )
        return (a, b, control), min(a.shape[0], b.shape[0], control.shape[0])
