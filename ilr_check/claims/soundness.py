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
from ilr_check.theory.rounding import UNIT_ROUNDOFF, accumulated
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace
from ilr_check.train.world import Visit

Array = NDArray[np.float64]

STEP = "the steps are those of the rule: residual of the norm in rounding bounds, in the worst run"
DECAY = "the decay that acts is the stated one: its mean over the steps, less 1, in the worst run"
ALONG = "no gradient along the weights: its share, mean over the steps, in the worst run"
FALL = "the gradient falls as 1/r: its power at doubled weights, plus 1, in the worst run"
AT_ONCE = "a change of lr acts at once: log of the fall of the steps over that of lr, median over the runs"
TOGETHER = "the runs are independent: correlation of their losses from step to step"

LIMITS = {STEP: 1.0, DECAY: 0.01, ALONG: 2e-4, FALL: 0.01, AT_ONCE: 0.2, TOGETHER: 0.02}
"""The largest size of each premise. What is measured is rounding where all is well, and the limits are above
it and below what moves a law by a good part of its margin. A share e of the gradient along the weights moves
the effective LR by e / sqrt(2 lambda_e), which is 0.003 at lambda_e = 2e-3. A decay moves it by half of its
error. A power of -1.01 changes the gradient by 1 % where the norm is e times larger. From one step to the
next an adaptive update changes its length by much less than lr changes where ``AT_ONCE`` is measured."""

CERTAIN = 1e-9
"""The chance that losses of independent runs of one training seem to move together."""
ENOUGH = 24
"""Half of the recorded steps from which on the correlation of the losses is measured."""
JUMP = 1.5
"""The factor of a change of lr from which on it is seen whether the next step follows it."""
PROBED = 16
"""The last runs of a population, at whose final weights the gradient is taken twice."""
STEPS = 6
"""The numbers of the last steps with which a world is asked for the gradient."""


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
        rule = getattr(fleet.rule, "name", "")
        if rule == "sgd":
            self._add(STEP, step_residual(fleet, trace))
        else:
            self._add(AT_ONCE, late_change(trace))
        if rule in ("sgd", "heavy-ball"):
            self._add(DECAY, acting_decay(runs, trace))
        self.see_losses(trace.loss)
        if isinstance(net, TransformerSpec):
            return  # Its norms have an eps, and joint groups may share tensors.
        groups = [group.names for group in net_groups(net) if group.kind in ("exact", "joint")]
        if not groups:
            return
        self._add(ALONG, max(share_along(trace, names) for names in groups))
        self._add(FALL, fall(fleet, runs, trace, groups))

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


def acting_decay(runs: Runs, trace: Trace) -> float:
    """Return how far the decay that acts in heavy ball, or SGD, is from the stated one, as a share of it.

    The buffer before a step is m = (w_before - w) / lr. So <w, w'> = r^2 - lr (mu <m, w> + (1 - d)(<g, w> +
    wd r^2)) needs inner products of neighbouring steps alone. With momentum it is nan where only some steps
    are recorded, and it is nan where there is no decay.
    """
    lr, norm2 = trace.lr[..., None], trace.norm2
    lost = norm2 - trace.inner
    if np.any(np.asarray(runs.momentum) != 0.0):
        if np.any(np.diff(trace.steps) != 1):
            return math.nan
        mu, dampening = (
            np.broadcast_to(np.asarray(values, float), trace.lr.shape)[1:, :, None]
            for values in (runs.momentum, runs.dampening)
        )
        memory = mu * (trace.inner[:-1] - norm2[1:]) / lr[:-1]
        lost = np.concatenate([lost[:1], (lost[1:] - lr[1:] * memory) / (1.0 - dampening)])
    acting = ((lost - lr * trace.radial) / norm2).sum(axis=0)
    stated = (lr * trace.weight_decay[..., None]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(acting - stated) / np.where(stated > 0, stated, math.nan)
    return float(np.nanmax(off)) if (stated > 0).any() else math.nan


def late_change(trace: Trace) -> float:
    """Return by how much the turning part of a step fails to follow lr where lr changes by ``JUMP`` or more.

    It is the log of its change less that of lr, the median over runs, in the worst tensor and at the worst
    change. It is nan where there is no such change between neighbouring recorded steps.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.diff(np.log(trace.lr), axis=0)
        turned = 0.5 * np.diff(np.log(trace.turned2), axis=0)
    jumps = (np.abs(ratio) >= math.log(JUMP)) & np.isfinite(ratio) & (np.diff(trace.steps) == 1)[:, None]
    at = np.flatnonzero(jumps.all(axis=1))
    off = np.abs(np.median(turned[at] - ratio[at][..., None], axis=1))
    return float(np.max(off)) if off.size else math.nan


def share_along(trace: Trace, names: tuple[str, ...]) -> float:
    """Return the share of a group's gradient along its weights, mean over the steps, in the worst run."""
    group = trace.group(names)
    lengths = np.sqrt(group.grad2 * group.norm2).sum(axis=0)
    return float(np.max(np.abs(group.radial.sum(axis=0)) / np.where(lengths > 0, lengths, np.inf)))


def common_losses(loss: Array) -> float:
    """Return the mean correlation of the losses of two runs from step to step, [steps, runs].

    It is 0 where independent runs may show as much, by ``CERTAIN``. The second difference of a loss removes
    what learning has in common in all runs. Every third one is used, so that they share no batch, and the
    signs alone, so that single steps such as a drop of lr do not matter. The first half is left out, because
    there the curves are not smooth. The squared sum of the signs of a step, over the number of runs, then has
    one degree of freedom.
    """
    from scipy.special import chdtri

    late = loss[len(loss) // 2 :]
    if len(loss) < 2 * ENOUGH or late.shape[1] < 4:
        return math.nan
    bend = (late[:-2] - 2.0 * late[1:-1] + late[2:])[::3]
    steps, runs = bend.shape
    squares = np.sign(bend).sum(axis=1) ** 2 / runs
    certain = float(squares.sum()) > float(chdtri(steps, CERTAIN))
    return float((squares.mean() - 1.0) / (runs - 1)) if certain else 0.0


def fall(fleet: Fleet, runs: Runs, trace: Trace, groups: list[tuple[str, ...]]) -> float:
    """Return by how much the power of r with which gradients fall differs from -1, in the worst run.

    The gradient of one batch is taken at the final weights of some runs, and at twice these weights.
    """
    count = len(runs.seeds)
    last = trace.run_steps // count
    few = min(count, PROBED, fleet.lanes)
    powers = fleet.powers(
        {name: w[-few:] for name, w in trace.final.items()},
        list(runs.seeds)[-few:],
        [name for names in groups for name in names],
        count=count,
        steps=range(max(0, last - STEPS), last),
    )
    return math.nan if np.isnan(powers).all() else float(np.nanmax(np.abs(powers + 1.0)))
