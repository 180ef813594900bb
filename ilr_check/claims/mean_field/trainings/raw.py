"""The paper's wording as it stands, judged on its own row, beside the form in which the law was tested.

A raw statement presupposes noise of constant trace. On a real net the noise changes, so the raw statement may
well be ``violated`` where the law holds. Its verdict says what was measured; it never decides the exit code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.stats import MeanEquivalence, Rival

ALPHA = 1e-3
"""P(violated) of one raw row whose statement is true; it spends nothing of the run's error budget."""


def judge_raw(
    log_ratios: NDArray[np.float64],
    *,
    theory: float,
    margin: float,
    quantity: str,
    explanation: str,
    rivals: Mapping[str, float],
    **about: Any,
) -> Finding:
    """Judge exp(mean of ``log_ratios``) [n] against ``theory``, within ``margin`` in the logarithm.

    ``explanation`` says what the measured change of the noise explains; ``rivals`` expect other ratios.
    """
    n = len(log_ratios)
    centre = math.log(theory)
    design = MeanEquivalence(
        estimand=quantity,
        theory=centre,
        margin=(centre - margin, centre + margin),
        margin_reason=f"{margin:.3f} in the logarithm, the margin of the tested form",
        rivals=tuple(Rival(name=name, expected=math.log(value)) for name, value in rivals.items()),
        looks=(n,),
        false_fail=ALPHA,
    )
    decision = design.decide(log_ratios, look=0)
    excluded = {rival.name: rival.excluded for rival in decision.rivals}
    value, low, high = (math.exp(x) for x in (decision.estimate, decision.low, decision.high))
    return Finding(
        form="raw",
        verdict=decision.verdict,
        quantity=quantity,
        measured=Measured(value=value, low=low, high=high),
        expected=theory,
        margin=Margin(low=theory * math.exp(-margin), high=theory * math.exp(margin)),
        detectable=None,
        n_runs=n,
        dtype="float32",
        counts=False,
        message=(
            f"raw: {value:.4g} [{low:.4g}, {high:.4g}] where the paper says {theory:.4g}; this row is not "
            f"part of the exit code, because it presupposes noise of constant trace; {explanation}"
        ),
        rivals=tuple(
            RivalOutcome(name=name, expected=value, excluded=excluded[name]) for name, value in rivals.items()
        ),
        **about,
    )
