"""What every law presupposes of the trainings of its unit. It is measured on all of them.

A mean over runs may lie within a margin although the trainings are not those of the claim: two defects
cancel, few runs have one, or judged runs and noise references share it. So each training shows here, run by
run, that its steps are the stated ones, that no gradient has a part along the weights, that gradients fall as
1/r, and that the runs are independent. Where it does not, a law cannot hold in its unit. It may still be
violated, unless the runs depend on each other, which is an error.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding
from ilr_check.claims.findings import unmet
from ilr_check.evidence import Margin
from ilr_check.evidence.records import Premise
from ilr_check.nets.groups import net_groups
from ilr_check.nets.specs import NetSpec
from ilr_check.nets.transformer_specs import TransformerSpec
from ilr_check.nets.transformers import invariant_matrices
from ilr_check.theory.rounding import UNIT_ROUNDOFF, accumulated
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace
from ilr_check.train.world import Visit

Array = NDArray[np.float64]

STEP = "the steps are those of the rule: residual of the norm in rounding bounds, in the worst run"
RULE = "each step is that of the rule: its distance over its length, mean over the steps, in the worst run"
ALONG = "no gradient along the weights: its share, mean over the steps, in the worst run"
FALL = "the gradient falls as 1/r: its power at doubled weights, plus 1, in the worst run"
TOGETHER = "the runs are independent: correlation of their losses, examples, or additions to gradients"

LIMITS = {STEP: 1.0, RULE: 2e-4, ALONG: 2e-4, FALL: 0.01, TOGETHER: 0.02}
"""The largest size of each premise. What is measured is rounding where all is well, and the limits are above
it and below what moves a law by a good part of its margin. A share e of the gradient, or of the step, along
the weights moves the effective LR by e / sqrt(2 lambda_e), which is 0.003 at lambda_e = 2e-3. A decay that is
off by a share d changes a step of SGD by d sqrt(lambda_e / 2) of its length: ``RULE`` sees d = 0.7 % at
lambda_e = 2e-3, and less where there is momentum. A power of -1.01 changes the gradient by 1 % where the norm
is e times larger."""

COMPARED, FEWEST, APART = 8, 2, 250
"""The most and the fewest steps of a training that are compared with those of the rule, and the distance that
suits; in a world, all are. One comparison costs about as much as two to four compiled steps."""

CERTAIN = 1e-9
"""The chance that losses of independent runs of one training seem to move together."""
ALIKE = 0.1
"""The cosine from which on two runs are alike by no coincidence: of what a world adds to their gradients, or
of the examples that it lets them see. Of independent noise of d entries in T steps it is about 1 / sqrt(d T),
0.01 for 100 entries and 100 steps."""
ENOUGH = 24
"""Half of the recorded steps from which on the correlation of the losses is measured."""
PROBED = 16
"""The last runs of a population, at whose final weights the gradient is taken twice."""
STEPS, SPREAD = 6, 18
"""A world is asked for the gradient with the numbers of the last steps, and of others all over the training.
"""


@dataclass
class Soundness:
    """The worst of every premise so far."""

    worst: dict[str, float] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    """What a world does to trainings that have their own loop. They show their steps themselves."""

    def see(self, net: NetSpec, fleet: Fleet, runs: Runs, trace: Trace) -> None:
        """Measure the premises on a training; ``net`` is the one that the claim speaks of."""
        if (trace.first_bad >= 0).any():
            return
        if getattr(fleet.rule, "name", "") == "sgd":
            self._add(STEP, step_residual(fleet, trace))
        self._add(RULE, float(np.max(trace.strayed)))
        self.see_losses(trace.loss)
        self._see_shared(float(trace.shared.max()))
        groups = invariant(net)
        if not groups:
            return
        self._add(ALONG, max(share_along(trace, names) for names in groups))
        self._add(FALL, fall(fleet, runs, trace, groups))

    def _see_shared(self, cosine: float) -> None:
        """Note how much a world makes two runs alike; see ``Visit.shared``."""
        self._add(TOGETHER, cosine if cosine > ALIKE else 0.0)

    def see_losses(self, loss: Array) -> None:
        """Measure whether runs are independent, by their losses, [steps, runs]."""
        self._add(TOGETHER, common_losses(loss))

    def _add(self, name: str, size: float) -> None:
        """Keep the worst size. What could not be measured is nan; a record holds no infinity."""
        if not math.isnan(size):
            self.worst[name] = max(self.worst.get(name, 0.0), min(size, sys.float_info.max))

    def premises(self) -> tuple[Premise, ...]:
        """Return all premises that were measured."""
        for visit in self.visits:
            self._add(STEP, visit.off_the_rule)
            self._see_shared(visit.examples_alike(visit.count))
        return tuple(
            Premise(
                name=name,
                measured=size,
                margin=Margin(low=0.0, high=LIMITS[name]),
                met=size <= LIMITS[name],
            )
            for name, size in self.worst.items()
        )

    def demanded(self, finding: Finding) -> Finding:
        """Return the finding; a law that holds is ``inconclusive`` where a premise of its trainings fails.

        Where the runs are not independent, no interval means anything, and every verdict is an ``error``.
        """
        failed = tuple(premise for premise in self.premises() if not premise.met)
        dependent = TOGETHER in [premise.name for premise in failed]
        told = dependent or finding.verdict == "holds"
        if not failed or not finding.counts or not told or finding.form in ("identity", "exact"):
            return finding
        words = (*map(unmet, failed), finding.message)
        return replace(
            finding,
            verdict="error" if dependent else "inconclusive",
            agreement="",
            premises=(*finding.premises, *failed),
            message="; ".join(word for word in words if word),
        )


def compared(steps: int) -> int:
    """Return how many steps of a training without a world are compared with those of the rule."""
    return max(FEWEST, min(COMPARED, steps // APART))


def invariant(net: NetSpec) -> list[tuple[str, ...]]:
    """Return the tensors of each scale-invariant group. In a language model they are invariant up to the eps
    of its norms, and its joint groups, which may share tensors, are left out."""
    if isinstance(net, TransformerSpec):
        return [(name,) for name in invariant_matrices(net)]
    return [group.names for group in net_groups(net) if group.kind in ("exact", "joint")]


def step_residual(fleet: Fleet, trace: Trace) -> float:
    """Return the largest residual of the identities of a step of SGD, over their rounding bound.

    They are r'^2 = a^2 r^2 + lr^2 ||g||^2 - 2 lr a <g, w> and <w, w'> = a r^2 - lr <g, w>, at every recorded
    step, in every run and tensor; see ``identities.norm_identity`` for the bound.
    """
    dtype = "float64" if fleet.dtype == torch.float64 else "float32"
    terms = [shape[0] + math.prod(shape[1:]) for shape in fleet.shapes.values()]
    sums = np.array([13.0 * UNIT_ROUNDOFF[dtype] + 4.0 * accumulated(count, dtype) for count in terms])
    lr, decay = trace.lr[..., None], (trace.lr * trace.weight_decay)[..., None]
    a, kick = 1.0 - decay, lr**2 * trace.grad2
    size = np.sqrt(trace.norm2) * (1.0 + decay) + np.sqrt(kick)
    residual = trace.next_norm2 - (a**2 * trace.norm2 + kick - 2.0 * lr * a * trace.radial)
    along = trace.inner - (a * trace.norm2 - lr * trace.radial)
    bound = np.maximum(sums * size**2, np.finfo(np.float32).tiny)
    return float(np.max(np.maximum(np.abs(residual), np.abs(along)) / bound))


def share_along(trace: Trace, names: tuple[str, ...]) -> float:
    """Return the share of a group's gradient along its weights, mean over the steps, in the worst run.

    The steps are the recorded ones. What a world adds to the gradient of one of its tensors counts at every
    step.
    """
    group = trace.group(names)
    lengths = np.sqrt(group.grad2 * group.norm2).sum(axis=0)
    shares = np.abs(group.radial).sum(axis=0) / np.where(lengths > 0, lengths, np.inf)
    added = trace.leaked[:, [trace.names.index(name) for name in names]]
    return float(max(shares.max(), added.max()))


def common_losses(loss: Array) -> float:
    """Return the correlation of the losses of two runs from step to step, [steps, runs].

    It is the mean over all pairs, or, where that is more, the correlation of a run with its like. Either one
    is 0 where independent runs may show as much, by ``CERTAIN``. The second difference of a loss removes what
    learning has in common in all runs. Every third one is used, so that they share no batch, and the signs
    alone, so that single steps such as a drop of lr do not matter. Their means over even and over odd ones
    are subtracted, because what all runs do at every second or third step does not make them depend on each
    other. The first half is left out, because there the curves are not smooth. The squared sum of the signs
    of a step, over the number of runs, then has one degree of freedom. So has, for each pair, the squared sum
    of the products of its signs, over the number of steps. Runs that depend on each other in pairs leave the
    mean over all pairs small.
    """
    from scipy.special import chdtri

    late = loss[len(loss) // 2 :]
    if len(loss) < 2 * ENOUGH or late.shape[1] < 4:
        return math.nan
    bend = (late[:-2] - 2.0 * late[1:-1] + late[2:])[::3]
    signs = np.sign(bend)
    for phase in (0, 1):
        signs[phase::2] -= signs[phase::2].mean(axis=0)
    steps, runs = signs.shape
    squares = signs.sum(axis=1) ** 2 / runs
    common = float((squares.mean() - 1.0) / (runs - 1))
    pairs = (signs.T @ signs)[np.triu_indices(runs, 1)] ** 2 / steps
    with_its_like = min(1.0, math.sqrt(max(0.0, 2.0 * float((pairs - 1.0).sum()) / (runs * steps))))
    return max(
        common if float(squares.sum()) > float(chdtri(steps, CERTAIN)) else 0.0,
        with_its_like if float(pairs.sum()) > float(chdtri(len(pairs), CERTAIN)) else 0.0,
    )


def fall(fleet: Fleet, runs: Runs, trace: Trace, groups: list[tuple[str, ...]]) -> float:
    """Return by how much the power of r with which gradients fall differs from -1, in the worst run.

    The gradient of one batch is taken at the final weights of some runs, and at twice these weights.
    """
    count = len(runs.seeds)
    last = trace.run_steps // count
    steps = {*range(max(0, last - STEPS), last), *np.linspace(0, last - 1, SPREAD).round().astype(int)}
    few = min(count, PROBED, fleet.lanes)
    powers = fleet.powers(
        {name: w[-few:] for name, w in trace.final.items()},
        list(runs.seeds)[-few:],
        [name for names in groups for name in names],
        count=count,
        steps=sorted(map(int, steps)),
    )
    return math.nan if np.isnan(powers).all() else float(np.nanmax(np.abs(powers + 1.0)))
