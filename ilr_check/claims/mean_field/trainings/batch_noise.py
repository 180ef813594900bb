"""The trace of the gradient noise of a batch at fixed weights, by the size of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.probes import Probes
from ilr_check.claims.mistakes import wrong_exponent
from ilr_check.data import DataSpec
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.seeds import derive
from ilr_check.stats import MeanEquivalence, Rival
from ilr_check.train.noise import Weights, dot
from ilr_check.train.world import Visit

Array = NDArray[np.float64]

POWERS = {"trace does not fall": 0.0, "trace as B^(-1/2)": 0.5, "trace as B^-2": 2.0}
"""Rivals by the power of 1/B with which the trace of the noise falls."""

TOLERANCE = 0.03
"""The tolerance in the power of B. Without replacement it would be -1.1 for the sizes and sets here."""


class Traces(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part", tag="trace"
):
    """At random weights of a net without batch norm, ``pairs`` pairs of batches of each of ``sizes``."""

    title: str
    net: NetSpec
    data: DataSpec
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    pairs: int = 64
    planned_sd: float | None = 0.04
    looks: tuple[int, ...] = (32, 96)


class TraceRuns:
    """Tr Sigma_B = E||g1 - g2||^2 / 2 of two batches of size B, at the random weights of independent nets."""

    def __init__(self, traces: Traces, lab: Lab) -> None:
        self.traces, self._lab = traces, lab
        self._probes = {
            size: Probes(traces.net, traces.data, batch_size=size, device=lab.context.device)
            for size in traces.sizes
        }
        self._found: list[Array] = []
        """[runs, sizes, tensors], part by part."""

    def of_group(self, tensors: tuple[str, ...], n: int) -> Array:
        """Return the trace at each size, [n, sizes]."""
        have = sum(map(len, self._found))
        if n > have:
            self._found.append(self._measure(range(have, n)))
        names = self._probes[self.traces.sizes[0]].names
        columns = [names.index(name) for name in tensors]
        return np.asarray(np.concatenate(self._found)[:n, :, columns].sum(axis=-1))

    def _measure(self, runs: range) -> Array:
        device = self._lab.context.device
        seeds = [derive(self._lab.seed, "trace", i) for i in runs]
        each = [initial_parameters(self.traces.net, s, dtype=torch.float32, device=device) for s in seeds]
        weights = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        columns = []
        for done, size in enumerate(self.traces.sizes):
            visit = self._lab.visit(len(seeds), only=frozenset({"batch"}))
            total = sum(self._apart(weights, seeds, size, pair, visit) for pair in range(self.traces.pairs))
            columns.append(total / (2 * self.traces.pairs))
            self._lab.context.progress((done + 1) / len(self.traces.sizes))
        return np.stack(columns, axis=1)

    def _apart(
        self, weights: Weights, seeds: Sequence[int], size: int, pair: int, visit: Visit | None
    ) -> Array:
        """Return ||g1 - g2||^2 of two batches, [runs, tensors]."""
        probes, two = self._probes[size], []
        for half in (0, 1):
            batch = probes.batch(
                [derive("pair", size, pair, half, s) for s in seeds], visit, step=2 * pair + half
            )
            with torch.no_grad():
                two.append(probes.gradients(weights, *batch))
        off = [two[0][name] - two[1][name] for name in probes.names]
        return torch.stack([dot(d, d) for d in off], dim=1).double().cpu().numpy()


def slopes(runs: TraceRuns, part: Part, n: int) -> Array:
    """Return the least-squares slope of log trace against log size in every run, [n]."""
    x = np.log(runs.traces.sizes)
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    return np.asarray(np.log(runs.of_group(part.tensors, n)) @ weights)


def design(traces: Traces, part: Part, alpha: float) -> MeanEquivalence:
    """Return the design for the power of B, against -1."""
    return MeanEquivalence(
        estimand="slope of log Tr Sigma_B against log B",
        theory=-1.0,
        margin=(-1.0 - TOLERANCE, -1.0 + TOLERANCE),
        margin_reason=(
            f"tolerance {TOLERANCE}; the log of a mean over {traces.pairs} pairs is low by half "
            "its relative variance, which is about the same at every size"
        ),
        rivals=tuple(Rival(name=name, expected=0.0 - power) for name, power in POWERS.items()),
        looks=traces.looks,
        false_fail=alpha,
        sd=traces.planned_sd,
    )


def _figure(seen: Examined[Traces, TraceRuns]) -> Figure:
    x = np.array(seen.spec.sizes, dtype=np.float64)
    logs = np.log(seen.runs.of_group(seen.tensors, seen.n))
    logs = logs - logs.mean()
    y, error = logs.mean(axis=0), 4.0 * logs.std(axis=0, ddof=1) / np.sqrt(seen.n)
    middle = np.exp(np.log(x).mean())
    return Figure(
        name="",
        title="",
        x_label="batch size",
        y_label="trace of the noise, 1 in the middle",
        x_log=True,
        y_log=True,
        series=(
            line("theory", "predicted", x, middle / x),
            interval("measured (4 standard errors)", x, np.exp(y), np.exp(y - error), np.exp(y + error)),
            *(line(f"rival: {name}", "rival", x, (middle / x) ** power) for name, power in POWERS.items()),
        ),
        caption="Half the squared distance of two batch gradients at the same random weights.",
    )


def trace_law(
    text: ClaimText, experiments: Callable[[Profile, int], Sequence[Traces]]
) -> StatisticalLaw[Traces, TraceRuns]:
    """Return the law that the trace of the noise falls as 1/B."""
    return StatisticalLaw(
        text=text,
        spec=Traces,
        experiments=experiments,
        run_steps=lambda traces: traces.looks[0] * traces.pairs * len(traces.sizes),
        trained=TraceRuns,
        form="prediction",
        design=design,
        mistakes=lambda traces, part: (wrong_exponent(-1.0, of="of B"),),
        sample=slopes,
        steps=lambda traces, part: traces.pairs,
        figure=_figure,
    )
