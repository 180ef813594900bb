"""Trainings under tangent noise of a given tail index at several lambda_e, one with a drop of the LR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.populations import Population
from ilr_check.data import DataSpec, HeavyTailedNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.sgd import UpdateRule, plain
from ilr_check.seeds import derive
from ilr_check.theory.heavy_tails import effective_lr_exponent
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.noise import Weights, dot, gradients
from ilr_check.train.trace import GroupTrace, Trace

Array = NDArray[np.float64]

PROBES = 8
"""Steps of a training at which the net's own gradient is measured."""


class Tailed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One net under noise of one tail index at each weight decay; the first training has its LR dropped.

    A stage is a time of constant settings: ``burn_in / lambda_e`` steps to forget the stage before, then
    ``window / lambda_e`` to measure, ``longer`` times that in stage 0, which has the fewest steps and is
    compared most. Stage i has the i-th decay; after stage 0 the LR falls by ``factor``: the last stage.
    ``own_steps`` are steps of trainings without added noise, in which the tail of the net's own gradients is
    estimated; 0 for none.
    """

    title: str
    net: NetSpec
    data: DataSpec
    noise: HeavyTailedNoise
    lr: float = 0.5
    decays: tuple[float, ...] = (0.256, 0.1, 0.04, 0.016)
    factor: float = 10.0
    burn_in: float = 3.0
    window: float = 16.0
    longer: float = 4.0
    batch_size: int = 32
    own_steps: int = 0
    looks: tuple[int, ...] = (64, 128, 256)

    @property
    def intrinsic_lrs(self) -> tuple[float, ...]:
        """lambda_e of every stage; the last is the one after the drop."""
        return tuple(self.lr * decay for decay in (*self.decays, self.decays[0] / self.factor))

    def steps(self, stage: int) -> int:
        """Steps of a stage."""
        window = self.window if stage else self.longer * self.window
        return self.burn_steps(stage) + round(window / self.intrinsic_lrs[stage])

    def burn_steps(self, stage: int) -> int:
        """Steps of a stage before its window."""
        return round(self.burn_in / self.intrinsic_lrs[stage])

    def training(self, stage: int) -> tuple[int, ...]:
        """The stages of the training that ``stage`` is part of."""
        dropped = len(self.decays)
        return (0, dropped) if stage in (0, dropped) else (stage,)

    def initial_norm(self, stage: int) -> float:
        """Initial norm of every tensor: about that of equilibrium, so that little has to be forgotten."""
        power = effective_lr_exponent(self.noise.tail)
        return float((self.lr * self.noise.size) ** 0.5 * self.intrinsic_lrs[stage] ** (-0.5 * power))


class TailedRuns:
    """The runs at every level, trained as they are asked for.

    ``rule`` and ``noise`` are replaced where a test plants a defect.
    """

    def __init__(
        self,
        tailed: Tailed,
        context: Context,
        *,
        rule: UpdateRule = plain,
        noise: HeavyTailedNoise | None = None,
    ) -> None:
        self.tailed, self._context = tailed, context
        self._total = tailed.looks[0] * sum(tailed.steps(i) for i in range(len(tailed.intrinsic_lrs)))
        self._fleet = Fleet(
            tailed.net,
            tailed.data,
            batch_size=tailed.batch_size,
            rule=rule,
            noise=noise or tailed.noise,
            device=context.device,
            expected_run_steps=self._total,
        )
        self._probe = gradients(self._fleet.module, None)
        self._own: list[dict[str, float]] = []
        self._done = 0
        self._populations = {
            i: Population(f"decay {decay:g}", context.seed, partial(self._train, i))
            for i, decay in enumerate(tailed.decays)
        }

    def effective_lr(self, stage: int, tensors: tuple[str, ...], n: int) -> Array:
        """Mean of lr / r^2 over the window of the stage, [n]; it has a mean where r^2 may have none."""
        return self._window(stage, tensors, n, lambda trace: trace.effective_lr)

    def rotation(self, stage: int, tensors: tuple[str, ...], n: int) -> Array:
        """Mean of log cos of the rotation over the window of the stage, over log(1 - lambda_e), [n]."""
        logs = self._window(stage, tensors, n, lambda trace: -0.5 * np.log1p(trace.tangent**2))
        return np.asarray(logs / np.log1p(-self.tailed.intrinsic_lrs[stage]))

    def own_share(self, tensors: tuple[str, ...]) -> float:
        """Squared minibatch gradient of the net along these runs, over ``size`` squared."""
        found = [sum(probe[name] for name in tensors) for probe in self._own]
        return float(np.mean(found)) / self.tailed.noise.size**2

    def own_gradients(self, tensors: tuple[str, ...], runs: int) -> Array:
        """Lengths at unit norm of the minibatch gradients of trainings without added noise, [runs, steps]."""
        tailed = self.tailed
        seeds = [derive(self._context.seed, "own", i) for i in range(runs)]
        fleet = Fleet(tailed.net, tailed.data, batch_size=tailed.batch_size, device=self._context.device)
        settings = Runs(seeds=seeds, lr=tailed.lr, weight_decay=tailed.decays[-2], initial_norm=1.5)
        trace = fleet.train(settings, 2 * tailed.own_steps).group(tensors)
        return np.asarray(np.sqrt(trace.unit_grad2[tailed.own_steps :]).T)

    def _window(
        self, stage: int, tensors: tuple[str, ...], n: int, read: Callable[[GroupTrace], Array]
    ) -> Array:
        first, *_ = self.tailed.training(stage)
        start = 0 if stage == first else self.tailed.steps(first)
        part = slice(start + self.tailed.burn_steps(stage), start + self.tailed.steps(stage))
        return self._populations[first].gather(n, lambda t: read(t.group(tensors))[part].mean(axis=0))

    def _train(self, level: int, seeds: Sequence[int]) -> Trace:
        tailed = self.tailed
        stages = tailed.training(level)
        lengths = [tailed.steps(stage) for stage in stages]
        lrs = np.repeat([tailed.lr, tailed.lr / tailed.factor][: len(stages)], lengths)
        probed = np.linspace(lengths[0] // 2, lrs.size - 1, PROBES).round().astype(int)
        dataset = self._fleet.dataset

        def probe(t: int, chunk: slice, weights: Weights) -> None:
            batches = self._fleet.batches
            generators = batches.generators([derive("probe", t, s) for s in seeds[chunk]])
            rows, fresh = (drawn[0] for drawn in batches.draw(generators, 1))
            labels = torch.where(fresh >= 0, fresh, dataset.y[rows])
            grads, _ = self._probe(weights, dataset.x, rows, labels, {})
            self._own.append(
                {
                    name: float((dot(g, g) * dot(weights[name], weights[name])).mean())
                    for name, g in grads.items()
                }
            )

        done = self._done / self._total
        self._done += len(seeds) * lrs.size
        width = self._done / self._total - done
        return self._fleet.train(
            Runs(
                seeds=seeds,
                lr=lrs[:, None],
                weight_decay=tailed.decays[level],
                initial_norm=tailed.initial_norm(level),
            ),
            lrs.size,
            progress=lambda fraction: self._context.progress(min(1.0, done + width * fraction)),
            observer=probe,
            observed=[int(t) for t in probed],
        )
