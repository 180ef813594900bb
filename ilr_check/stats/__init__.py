"""The judge: verdicts on random numbers, with both error rates stated, derived and measured.

A design states what is estimated, what theory predicts, the margin with its derivation, and both rates::

    from ilr_check.stats import ErrorBudget, MeanEquivalence, Rival, examine

    budget = ErrorBudget(total=1e-3)
    alpha = budget.plan(["equilibrium", "recovery"])
    design = MeanEquivalence(
        estimand="log(measured/predicted effective LR)", theory=0.0,
        margin=(-0.05, 0.05), margin_reason="finite-size terms 0.02, tolerance 0.03",
        looks=(32, 64, 128), false_fail=alpha["equilibrium"], inconclusive=budget.patience("equilibrium"),
        rivals=(Rival(name="without the 2", expected=0.35),), sd=0.04,
    )
    design.weakness()                      # None, or one sentence that says why the design is too weak
    design.smallest_detectable()           # the deviation that is violated with probability 0.95
    design.runs_needed(discrepancy=0.08)
    decision = design.decide(log_ratios(measured, predicted), look=0)        # one number per run
    outcome = examine(design, draw)        # draw(n): data of the first n runs; .decision .runs_used .saved
    budget.spend("equilibrium"); budget.as_dict()

Data of the other designs (runs first; independent groups as tuples; names of extra fields in parentheses)::

    CurveEquivalence(points=40, nuisance="level", ...).decide(deviations)    # [n_runs, points]
    SlopeEquivalence(levels=(1e-3, 2e-3, 4e-3, 8e-3), theory=1.0, margin=(0.9, 1.1), ...).decide(groups)
    ContrastEquivalence(theta=0.25, effect=0.4, ...).decide((a, b, control))          # [n] each
    RelaxationRate(rate=4e-3, times=times, level=None, ...).decide(curves)            # [n_runs, n_times]
    CollapseOnOne(x=(-6.2, -5.5, -6.2, -5.5), groups=("lr 0.1", ...), degree=1, ...).decide(cells)
    TailIndex(alpha=1.5, top=0.05, ...).decide(magnitudes)                   # [n_runs, n_magnitudes]
    DistributionEquivalence(theta=0.25, metric="euclidean", seed=1, ...).decide((a, b, control))  # [n, d]

``margin`` is the allowed range of the estimand and contains ``theory``. The designs with a control have no
margin. Drop diverged runs before ``decide`` and report it, because data that are not finite are an error.
Nothing here may be called inside ``@given``; it raises ``SearchError``.
"""

from ilr_check.stats.budget import FLOOR, ErrorBudget
from ilr_check.stats.collapse import CollapseOnOne
from ilr_check.stats.contrast import ContrastEquivalence
from ilr_check.stats.curve import CurveEquivalence
from ilr_check.stats.design import Design
from ilr_check.stats.distribution import (
    DistributionEquivalence,
    label_distribution_distance,
    pairwise_distances,
    planned_sd,
)
from ilr_check.stats.estimates import Estimate, estimate, may_be_lowest
from ilr_check.stats.examination import Examination, examine
from ilr_check.stats.looks import Rates, spend
from ilr_check.stats.mean import MeanEquivalence, log_ratios, paired_differences
from ilr_check.stats.permutation import permutation_p_value
from ilr_check.stats.relaxation import RelaxationRate
from ilr_check.stats.separation import Separation, separation
from ilr_check.stats.slope import SlopeEquivalence
from ilr_check.stats.tails import TailIndex, hill
from ilr_check.stats.verdicts import Band, Decision, Rival, RivalResult, SearchError, VerdictWord

__all__ = [
    "FLOOR",
    "Band",
    "CollapseOnOne",
    "ContrastEquivalence",
    "CurveEquivalence",
    "Decision",
    "Design",
    "DistributionEquivalence",
    "ErrorBudget",
    "Estimate",
    "Examination",
    "MeanEquivalence",
    "Rates",
    "RelaxationRate",
    "Rival",
    "RivalResult",
    "SearchError",
    "Separation",
    "SlopeEquivalence",
    "TailIndex",
    "VerdictWord",
    "estimate",
    "examine",
    "hill",
    "label_distribution_distance",
    "log_ratios",
    "may_be_lowest",
    "paired_differences",
    "pairwise_distances",
    "permutation_p_value",
    "planned_sd",
    "separation",
    "spend",
]
