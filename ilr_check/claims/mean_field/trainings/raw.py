"""The paper's wording as it stands: a verdict of its own, which is never part of the exit code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding
from ilr_check.claims.mistakes import Mistake, too_much_decay, with_near_rival
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.stats import MeanEquivalence, Rival

ALPHA = 1e-3
"""P(violated) of one raw row whose statement is true; it spends nothing of the run's error budget."""


def judge_raw_ratio(
    log_ratios: NDArray[np.float64],
    *,
    theory: float,
    rivals: Mapping[str, float],
    **about: Any,
) -> Finding:
    """Judge exp(mean of ``log_ratios``) [n], a ratio of effective LRs, against ``theory``.

    ``rivals`` expect other ratios, and ``about`` are further arguments of ``judge_raw``; its margin is in the
    logarithm.
    """
    centre = math.log(theory)
    return judge_raw(
        log_ratios,
        theory=centre,
        rivals={name: math.log(value) for name, value in rivals.items()},
        # The effective LR of equilibrium is the square root of lambda_e.
        near=too_much_decay(lambda factor: centre + 0.5 * math.log(factor)),
        shown=math.exp,
        because="it presupposes noise of constant trace",
        **about,
    )


def judge_raw(
    values: NDArray[np.float64],
    *,
    theory: float,
    margin: float,
    quantity: str,
    because: str,
    explanation: str,
    rivals: Mapping[str, float],
    near: Mistake,
    shown: Any = float,
    says: str = "the paper says",
    **about: Any,
) -> Finding:
    """Judge the mean of ``values`` [n] against ``theory`` within ``margin``.

    ``because`` says why the row is not part of the exit code, ``explanation`` what the measured noise
    explains, and ``says`` whose value ``theory`` is. ``shown`` maps a value to the scale of the record.
    """
    n = len(values)
    design = with_near_rival(
        MeanEquivalence(
            estimand=quantity,
            theory=theory,
            margin=(theory - margin, theory + margin),
            margin_reason=f"{margin:.3f}, the margin of the tested form",
            rivals=tuple(Rival(name=name, expected=value) for name, value in rivals.items()),
            looks=(n,),
            false_fail=ALPHA,
        ),
        (near,),
    )
    decision = design.decide(values, look=0)
    value, low, high = (shown(x) for x in (decision.estimate, decision.low, decision.high))
    expected = shown(theory)
    return Finding(
        form="raw",
        verdict=decision.verdict,
        quantity=quantity,
        measured=Measured(value=value, low=low, high=high),
        expected=expected,
        margin=Margin(low=shown(theory - margin), high=shown(theory + margin)),
        detectable=None,
        n_runs=n,
        dtype="float32",
        counts=False,
        message=(
            f"raw: {value:.4g} [{low:.4g}, {high:.4g}] where {says} {expected:.4g}; this row is not "
            f"part of the exit code, because {because}; {explanation}"
        ),
        rivals=tuple(
            RivalOutcome(name=r.name, expected=shown(float(np.asarray(r.expected))), excluded=found.excluded)
            for r, found in zip(design.rivals, decision.rivals, strict=True)
        ),
        **about,
    )
