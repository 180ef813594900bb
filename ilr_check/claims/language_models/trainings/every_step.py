"""Whether every step of the trainings is that of the rule: this judges weight decay without any theory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Judged
from ilr_check.claims.language_models.trainings.hidden import LanguageRuns, LanguageTraining
from ilr_check.claims.soundness import LIMITS, RULE
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.nets.transformers import hidden_matrices
from ilr_check.optim.rules import Rule
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]

GROUP = "every step"
RIVALS = {"weight decay 5 % too strong in one matrix": 0.05, "one matrix has no weight decay": 1.0}
"""Wrong weight decays, and the share of the stated one by which they are wrong."""


def every_step(spec: LanguageTraining, runs: LanguageRuns, subject: dict[str, Any], n: int) -> Judged:
    """Judge that the steps of all runs are those of the rule at the stated lr and weight decay.

    The rule makes each compared step once more, so that no noise of the batches enters. Most laws of this
    chapter compare trainings with each other, or with a theory of white noise, and cannot see a weight decay
    that is wrong by 5 per cent. What rivals would do is measured where the recorded steps have weight decay:
    in lm-balance it pauses at all recorded steps of a population.
    """
    traces = runs.lab.traces()
    worst = max(float(trace.strayed.max()) for trace in traces) / LIMITS[RULE]
    decayed = [weakest(runs, trace) for trace in traces if trace.weight_decay.any()]
    expected = {
        name: min((size * share - coarse for share, coarse in decayed), default=0.0) / LIMITS[RULE]
        for name, size in RIVALS.items()
    }
    rivals = tuple(RivalOutcome(name=k, expected=v, excluded=v > 1.0) for k, v in expected.items())
    seen = all(rival.excluded for rival in rivals)
    return Judged(
        (
            Finding(
                form="identity",
                group=GROUP,
                subject=subject,
                verdict="violated" if not worst <= 1.0 else "holds" if seen else "inconclusive",
                quantity="distance of a step from that of the rule, over its limit",
                measured=Measured(value=worst),
                expected=0.0,
                margin=Margin(low=0.0, high=1.0),
                detectable=1.0,
                rivals=rivals,
                n_runs=sum(len(trace.first_bad) for trace in traces),
                n_steps=max(trace.run_steps // len(trace.first_bad) for trace in traces),
                dtype="float32",
                message=(
                    "the rule makes steps once more, with the lr and weight decay that are stated for them. "
                    f"The distance is beyond rounding, as a share of the step's length, and its limit is "
                    f"{LIMITS[RULE]:g}. It is the mean over the compared steps, in the worst tensor of the "
                    "worst run; all steps are compared in a world, and a few of each training elsewhere"
                ),
            ),
        )
    )


def weakest(runs: LanguageRuns, trace: Trace) -> tuple[float, float]:
    """Return what weight decay does in a step as a share of the step's length, mean over the steps, in the
    run and the hidden matrix where it is least, and the coarseness of the steps along that matrix."""
    names = hidden_matrices(runs.spec.net)
    columns = [trace.names.index(name) for name in names]
    norm2, inner, after = (getattr(trace, f)[..., columns] for f in ("norm2", "inner", "next_norm2"))
    step = np.sqrt(np.maximum(after - 2.0 * inner + norm2, np.finfo(np.float32).tiny))
    shares = ((trace.lr * trace.weight_decay)[..., None] * np.sqrt(norm2) / step).mean(axis=0).min(axis=0)
    least = int(shares.argmin())
    entries, rule = trace.final[names[least]][0].numel(), runs.fleet.rule
    assert isinstance(rule, Rule)
    return float(shares[least]), rule.of(names[least]).coarseness * entries**-0.5
