"""Equality up to a margin that is a fraction of a known difference, the effect of a positive control.

"These two are equal" needs a scale: the effect of a control that must differ. The difference of interest may
be at most ``theta`` times that effect. If the control cannot be told from the others, the data could not have
shown a difference, and the verdict is inconclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ilr_check.stats.design import Design
from ilr_check.stats.intervals import Array
from ilr_check.stats.reading import finite

SIGN_SHARE = 0.1
"""The fraction of the false-pass rate that is spent on the control. The rest is spent on the equality."""


UNPOWERED = "the control does not differ from the others, so this test could not see a difference"
"""The note of a decision whose control shows no effect."""


@dataclass(frozen=True, kw_only=True)
class ControlledDesign(Design):
    """The common fields of designs with a positive control.

    The estimand is an excess: the difference of interest minus ``theta`` times the control's effect. The
    claim is that it is below 0. ``effect`` is the planned effect of the control, which together with ``sd``
    makes planning possible. Data: three independent samples (a, b, control), where a and b are claimed to be
    equal.
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
        """Return theta times the planned effect, on both sides of equality."""
        if self.effect is None:
            raise ValueError(
                "give effect=, the control's planned effect, because this design was planned without one"
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
