"""Full-batch descent with weight decay for a long time: loss spikes, the time between them, and their start.

Runs at several lambda_e and under small noise are lanes of one batch, the longest first; a finished lane is
dropped. The arithmetic is float64, since between spikes the gradient falls by many orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.claims.function_space.trainings.full_batch import FullBatch, initial, inner, random_like
from ilr_check.claims.function_space.trainings.steps import ASKED, Steps, Weights
from ilr_check.claims.lab import Lab, RunDiverged
from ilr_check.data import DataSpec
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.theory.descent import edge, free_growth
from ilr_check.train.noise import tangent

Array = NDArray[np.float64]

FALL = float(np.log(2.0))
"""In a loss spike log Phi falls by this from its last maximum. The next spike may come once log Phi has risen
by as much."""
MARK = 0.05
"""The distance between marks on a run, in units of 1/lambda_e: Phi grows by a tenth from one to the next."""
STATES = 6
"""States of a run at which the sharpness is computed, at equal distances over the window."""
PRODUCTS = 40
"""Hessian-vector products for the sharpness of a state, from a random vector."""
DRAWN = 32
"""Steps for which noise is drawn at once."""


class SpikeCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs with one lambda_e and one length at unit norm of the noise on the gradient."""

    intrinsic_lr: float
    noise: float = 0.0


class LateDescent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Descent on the first ``examples`` of a set, with decay from the start, at every level of lambda_e.

    ``regime`` is what is expected of the net; nothing is expected where it is ``open``. Runs are read over
    ``window`` after ``burn_in``, both in units of 1/lambda_e. The two ``noises`` act at ``noise_level``. The
    sharpness is computed at ``edge_levels`` and judged at the smallest of them.
    """

    title: str
    regime: Literal["periodic", "steady", "open"]
    net: NetSpec
    data: DataSpec
    levels: tuple[float, ...]
    edge_levels: tuple[float, ...]
    noise_level: float = 0.0
    noises: tuple[float, ...] = ()
    lr: float = 0.1
    examples: int = 64
    burn_in: float = 3.0
    window: float = 8.0
    looks: tuple[int, ...] = (48,)

    def __post_init__(self) -> None:
        if not set(self.edge_levels) <= set(self.levels) or not self.edge_levels:
            raise ValueError(
                f"edge_levels={self.edge_levels} must be at least one, each of levels={self.levels}"
            )
        if self.noises and not (len(self.noises) == 2 and 0.0 < self.noises[0] < self.noises[1] < 1.0):
            raise ValueError(
                f"noises={self.noises} must be none, or two sizes within (0, 1), the smaller first"
            )

    @property
    def cells(self) -> tuple[SpikeCell, ...]:
        """All cells: those of the levels, then those of the noises."""
        levels = [SpikeCell(intrinsic_lr=level) for level in self.levels]
        noisy = [SpikeCell(intrinsic_lr=self.noise_level, noise=noise) for noise in self.noises]
        return (*levels, *noisy)

    def burn_steps(self, cell: SpikeCell) -> int:
        """Steps before the window."""
        return round(self.burn_in / cell.intrinsic_lr)

    def steps(self, cell: SpikeCell) -> int:
        """Steps of a run."""
        return self.burn_steps(cell) + round(self.window / cell.intrinsic_lr)


@dataclass(frozen=True)
class LatePath:
    """One run in its window: a number a step, and weights at its marks where they were kept."""

    log_phi: Array
    """log of eta / (a r^2) up to a constant, [steps]."""
    along: Array
    """Mean curvature along each step, times lr / 2: 1 where steps undo each other, [steps].

    It is not computed in the periodic regime."""
    times: NDArray[np.intp]
    """Where the marks lie in it, [marks]."""
    marks: tuple[Weights, ...]


class SpikeRuns:
    """Runs of every cell, which grow look by look.

    Run i under either noise starts from the same weights and has the same draws; all else is independent.
    """

    def __init__(self, descent: LateDescent, lab: Lab) -> None:
        self.descent, self._lab = descent, lab
        net, device = lab.net(descent.net), lab.context.device
        self._batch = FullBatch(net, descent.data, descent.examples, device)
        self._paths: dict[SpikeCell, list[LatePath]] = {cell: [] for cell in descent.cells}
        self._edges: dict[tuple[SpikeCell, str], list[float]] = {}

    def growth(self, cell: SpikeCell, n: int) -> Array:
        """Return the growth of log Phi over that of free decay, median over stretches between marks, [n]."""
        stretch = _between_marks(cell)
        free = stretch * float(free_growth(cell.intrinsic_lr))
        paths = self._take(cell, n)
        return np.array([np.median(np.diff(path.log_phi[::stretch])) / free for path in paths])

    def gaps(self, cell: SpikeCell, n: int) -> Array:
        """Return the mean steps from one spike to the next, [n]; the window where there are not two."""
        return np.array([_gap(spikes(path.log_phi)[1], len(path.log_phi)) for path in self._take(cell, n)])

    def counts(self, cell: SpikeCell, n: int) -> NDArray[np.intp]:
        """Return the number of spikes of each run, [n]."""
        return np.array([len(spikes(path.log_phi)[0]) for path in self._take(cell, n)])

    def along(self, cell: SpikeCell, n: int) -> Array:
        """Return the median of the mean curvature along a step times lr / 2, [n]."""
        return np.array([np.median(path.along) for path in self._take(cell, n)])

    def before_spikes(self, cell: SpikeCell, n: int) -> Array:
        """Return log(Phi lambda_max / 2) when a spike begins, median over the spikes of a run, [n].

        Phi is taken where it is largest, and the sharpness one mark or two before, while the unstable mode
        is small. For a run without spikes both are taken at its last mark.
        """
        return self._edge(cell, n, "before spikes")

    def at_states(self, cell: SpikeCell, n: int) -> Array:
        """Return log(Phi lambda_max / 2), median over ``STATES`` states of a run, [n]."""
        return self._edge(cell, n, "states")

    def path(self, cell: SpikeCell, run: int) -> Array:
        """Return log Phi of one run in its window, up to a constant."""
        return self._take(cell, run + 1)[run].log_phi

    def _edge(self, cell: SpikeCell, n: int, kind: Literal["before spikes", "states"]) -> Array:
        paths, known = self._take(cell, n), self._edges.setdefault((cell, kind), [])
        chosen: list[list[tuple[Weights, float]]] = []
        for path in paths[len(known) :]:
            if kind == "states":
                at = np.linspace(0, len(path.marks) - 1, STATES).round().astype(int)
                chosen.append([(path.marks[i], 0.0) for i in at])
            else:
                tops = [t for t in spikes(path.log_phi)[0] if t > path.times[1]]
                at = np.searchsorted(path.times, tops, side="right") - 2
                rise = path.log_phi[tops] - path.log_phi[path.times[at]]
                found = [(path.marks[i], float(r)) for i, r in zip(at, rise, strict=True)]
                chosen.append(found or [(path.marks[-1], 0.0)])
        if chosen:
            logs = iter(self._log_edges(cell, [w for run in chosen for w, _ in run]))
            known += [float(np.median([next(logs) + r for _, r in run])) for run in chosen]
        return np.array(known[:n])

    def _log_edges(self, cell: SpikeCell, states: Sequence[Weights]) -> Array:
        weights = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        start = random_like(weights, range(len(states)))
        with torch.no_grad():
            top, _ = self._batch.sharpness(weights, start, PRODUCTS)
        decay = cell.intrinsic_lr / self.descent.lr
        return np.log(edge(self.descent.lr, decay, top.abs().cpu().numpy()))

    def _take(self, cell: SpikeCell, n: int) -> list[LatePath]:
        first = len(self._paths[cell])
        if first < n:
            for trained, path in self._train(first, n):
                self._paths[trained].append(path)
        return self._paths[cell][:n]

    def _train(self, first: int, n: int) -> list[tuple[SpikeCell, LatePath]]:
        """Train runs ``first`` to n of every cell; raises ``RunDiverged`` if one is not finite."""
        descent, device = self.descent, self._lab.context.device
        cells = sorted(descent.cells, key=descent.steps, reverse=True)
        lanes = [(cell, i) for cell in cells for i in range(first, n)]
        seeds = [derive(self._lab.seed, "bursts", *_stream(cell), i) for cell, i in lanes]
        weights = initial(descent.net, seeds, descent.lr, device)
        noise = _Noise([cell.noise for cell, _ in lanes], seeds, device)
        lasts = np.array([descent.steps(cell) for cell, _ in lanes])
        log_phi, along = (np.full((len(lanes), lasts.max()), np.nan) for _ in range(2))
        marks: dict[int, list[Weights]] = {k: [] for k, (cell, _) in enumerate(lanes) if self._marked(cell)}
        times: dict[int, list[int]] = {k: [] for k in marks}
        before: tuple[Weights, Weights] | None = None
        decay = torch.tensor([cell.intrinsic_lr / descent.lr for cell, _ in lanes], dtype=torch.float64)
        decay, lr = decay.to(device), torch.tensor(descent.lr, dtype=torch.float64, device=device)
        steps = self._steps([i - first for _, i in lanes], n - first)
        with torch.no_grad():
            for t in range(lasts.max()):
                alive = int((lasts > t).sum())
                weights = {name: w[:alive] for name, w in weights.items()}
                grads, _ = self._batch.gradient(weights)
                grads = noise.added(grads, weights, t)
                log_phi[:alive, t] = -inner(weights, weights).log().cpu().numpy()
                if before is not None and descent.regime != "periodic":
                    along[:alive, t] = self._along(*before, weights, grads).cpu().numpy()
                for k in marks:
                    cell = lanes[k][0]
                    since = t - descent.burn_steps(cell)
                    if k < alive and since >= 0 and since % _between_marks(cell) == 0:
                        marks[k].append({name: w[k].clone() for name, w in weights.items()})
                        times[k].append(since)
                before = (weights, grads)
                steps.keep(alive)
                weights = steps.step(weights, grads, lr, decay[:alive])
                if t % 100 == 0:
                    self._lab.context.progress(t / lasts.max())
        trained = []
        for k, (cell, _) in enumerate(lanes):
            window = slice(descent.burn_steps(cell), descent.steps(cell))
            path = LatePath(
                log_phi[k, window], along[k, window], np.array(times.get(k, [])), tuple(marks.get(k, ()))
            )
            if not np.isfinite(path.log_phi).all():
                raise RunDiverged(
                    f"a run of {descent.title} at lambda_e={cell.intrinsic_lr:g} is not finite; lower it"
                )
            trained.append((cell, path))
        return trained

    def _marked(self, cell: SpikeCell) -> bool:
        return not cell.noise and cell.intrinsic_lr in self.descent.edge_levels

    def _steps(self, runs: Sequence[int], count: int) -> Steps:
        """Return the steps of all lanes; lane k is run ``runs[k]`` of the ``count`` runs of its cell."""
        return Steps(self._lab.visit(count, runs, ASKED), len(runs))

    def _along(self, w0: Weights, g0: Weights, w1: Weights, g1: Weights) -> Tensor:
        step = {name: w - w0[name][: len(w)] for name, w in w1.items()}
        change = {name: g - g0[name][: len(g)] for name, g in g1.items()}
        return 0.5 * self.descent.lr * inner(step, change) / inner(step, step)


class _Noise:
    """The tangent noise of the lanes that have any, drawn run by run, ``DRAWN`` steps at once."""

    def __init__(self, sizes: Sequence[float], seeds: Sequence[int], device: str) -> None:
        self._noisy = [k for k, size in enumerate(sizes) if size]
        self._sizes = torch.tensor([sizes[k] for k in self._noisy], dtype=torch.float64, device=device)
        self._seeds = [seeds[k] for k in self._noisy]
        self._drawn: Weights = {}
        self._device = device

    def added(self, grads: Weights, weights: Weights, t: int) -> Weights:
        """Return the gradients with the noise of step t added."""
        lanes = [k for k in self._noisy if k < len(next(iter(weights.values())))]
        if not lanes:
            return grads
        if t % DRAWN == 0:
            self._drawn = {
                name: torch.stack([self._block(w, name, t, i) for i in range(len(lanes))])
                for name, w in weights.items()
            }
        out = {}
        for name, g in grads.items():
            draw = self._drawn[name][: len(lanes), t % DRAWN]
            out[name] = g.clone()
            out[name][lanes] += tangent(weights[name][lanes], draw, self._sizes[: len(lanes)])
        return out

    def _block(self, w: Tensor, name: str, t: int, i: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(self._seeds[i], "noise", name, t))
        return torch.randn((DRAWN, *w.shape[1:]), generator=generator, dtype=w.dtype).to(self._device)


def spikes(log_phi: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return when log Phi was largest before each spike, and when it had fallen by ``FALL``."""
    tops, falls = [], []
    extreme, at, falling = log_phi[0], 0, False
    for t, value in enumerate(log_phi.tolist()):
        if falling:
            extreme = min(extreme, value)
            if value > extreme + FALL:
                extreme, at, falling = value, t, False
        elif value > extreme:
            extreme, at = value, t
        elif value < extreme - FALL:
            tops.append(at)
            falls.append(t)
            extreme, falling = value, True
    return np.array(tops, dtype=np.intp), np.array(falls, dtype=np.intp)


def _gap(falls: NDArray[np.intp], window: int) -> float:
    return float(falls[-1] - falls[0]) / (len(falls) - 1) if len(falls) > 1 else float(window)


def _between_marks(cell: SpikeCell) -> int:
    """Return ``MARK`` over lambda_e in steps, as an odd number.

    So an oscillation of period two is seen from both of its sides.
    """
    return 2 * (round(MARK / cell.intrinsic_lr) // 2) + 1


def _stream(cell: SpikeCell) -> tuple[object, ...]:
    return ("noisy",) if cell.noise else (cell.intrinsic_lr,)
