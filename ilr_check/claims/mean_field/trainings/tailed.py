"""Trainings under added noise of a given tail index, at several lambda_e = lr * weight_decay.

The noise is tangent: it is orthogonal to the weights, as the gradients of scale-invariant weights are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field.trainings.probes import Probes, ProbeWatch
from ilr_check.data import DataSpec, HeavyTailedNoise
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.theory.heavy_tails import effective_lr_exponent
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import GroupTrace, Trace

Array = NDArray[np.float64]

PROBES = 8
"""Steps of a training at which the net's own gradient is measured."""


class Tailed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One net under noise of one tail index, with each weight decay; the LR of the first training drops.

    A stage is a time of constant settings: ``burn_in / lambda_e`` steps to forget the stage before, then
    ``window / lambda_e`` steps to measure. Stage 0 has the fewest steps and is compared most, so that its
    window is ``longer`` times that. Stage i has the i-th decay. The last stage follows stage 0, with the LR
    divided by ``factor``. ``own_steps`` are steps of trainings without added noise, in which the tail of
    the net's own gradients is estimated; 0 for none.
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
        """lambda_e of every stage; the last stage is the one after the drop."""
        return tuple(self.lr * decay for decay in (*self.decays, self.decays[0] / self.factor))

    def steps(self, stage: int) -> int:
        """Steps of a stage."""
        window = self.window if stage else self.longer * self.window
        return self.burn_steps(stage) + round(window / self.intrinsic_lrs[stage])

    def burn_steps(self, stage: int) -> int:
        """Steps of a stage before its window."""
        return round(self.burn_in / self.intrinsic_lrs[stage])

    def steps_of_all(self) -> int:
        """Steps of all stages."""
        return sum(self.steps(stage) for stage in range(len(self.intrinsic_lrs)))

    def training(self, stage: int) -> tuple[int, ...]:
        """Return the stages of the training to which ``stage`` belongs."""
        dropped = len(self.decays)
        return (0, dropped) if stage in (0, dropped) else (stage,)

    def initial_norm(self, stage: int) -> float:
        """Initial norm of every tensor: about that of equilibrium, so that there is little to forget."""
        power = effective_lr_exponent(self.noise.tail)
        return float((self.lr * self.noise.size) ** 0.5 * self.intrinsic_lrs[stage] ** (-0.5 * power))


class TailedRuns:
    """The runs at every level, trained as they are needed."""

    def __init__(self, tailed: Tailed, lab: Lab) -> None:
        self.tailed, self._lab = tailed, lab
        device = lab.context.device
        self._probes = Probes(tailed.net, tailed.data, batch_size=tailed.batch_size, device=device)
        self._own: list[dict[str, Array]] = []
        self._populations = [
            lab.population(f"decay {decay:g}", partial(self._train, level))
            for level, decay in enumerate(tailed.decays)
        ]

    def effective_lr(self, stage: int, tensors: tuple[str, ...], n: int) -> Array:
        """Return the mean of lr / r^2 over the window of the stage, [n]; r^2 itself may have no mean."""
        return self._window(stage, tensors, n, lambda trace: trace.effective_lr)

    def rotation(self, stage: int, tensors: tuple[str, ...], n: int) -> Array:
        """Return the mean log cos of the rotation in the window, over log(1 - lambda_e), [n]."""
        logs = self._window(stage, tensors, n, lambda trace: -0.5 * np.log1p(trace.tangent**2))
        return np.asarray(logs / np.log1p(-self.tailed.intrinsic_lrs[stage]))

    def own_share(self, tensors: tuple[str, ...]) -> float:
        """Return the net's own squared minibatch gradient along these runs, over ``size`` squared."""
        found = [sum(probe["norm2 " + name] * probe[name] for name in tensors) for probe in self._own]
        return float(np.mean([np.mean(values) for values in found])) / self.tailed.noise.size**2

    def own_gradients(self, tensors: tuple[str, ...], runs: int) -> Array:
        """Return lengths at unit norm of the gradients of trainings without added noise, [runs, steps]."""
        tailed = self.tailed
        seeds = [derive(self._lab.seed, "own", i) for i in range(runs)]
        settings = Runs(seeds=seeds, lr=tailed.lr, weight_decay=tailed.decays[-2], initial_norm=1.5)
        trace = self._lab.train(self._fleet(None), settings, 2 * tailed.own_steps).group(tensors)
        return np.asarray(np.sqrt(trace.unit_grad2[tailed.own_steps :]).T)

    def _fleet(self, noise: HeavyTailedNoise | None) -> Fleet:
        tailed = self.tailed
        return self._lab.fleet(tailed.net, tailed.data, batch_size=tailed.batch_size, noise=noise)

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
        watch = ProbeWatch(seeds, probed.tolist(), self._probes.squared)
        settings = Runs(
            seeds=seeds,
            lr=lrs[:, None],
            weight_decay=tailed.decays[level],
            initial_norm=tailed.initial_norm(level),
        )
        trace = self._lab.train(self._fleet(tailed.noise), settings, lrs.size, **watch.watching())
        self._own.append(watch.joined())
        return trace
