"""Populations of independent runs that grow look by look, and decisions about them as findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Unit
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.evidence.records import Form
from ilr_check.nets import NetSpec, net_groups
from ilr_check.seeds import derive
from ilr_check.stats import Examination
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]


class RunDiverged(ArithmeticError):
    """A run of a statistical claim has left the finite numbers."""


class Population:
    """Independent runs of one kind; ``take(n)`` trains what is missing of the first n and returns them.

    The seed of run i depends on ``seed``, ``name`` and i only, so that looks extend one another.
    """

    def __init__(self, name: str, seed: int, train: Callable[[Sequence[int]], Trace]) -> None:
        self.name, self._seed, self._train = name, seed, train
        self._parts: list[Trace] = []
        self._count = 0

    def take(self, n: int) -> list[Trace]:
        """Traces that together hold the first ``n`` runs or more, in order.

        Raises ``RunDiverged`` with the run and the step if one has become NaN or infinite: dropping it would
        select the runs by their outcome.
        """
        if n > self._count:
            seeds = [derive(self._seed, self.name, i) for i in range(self._count, n)]
            trace = self._train(seeds)
            bad = np.flatnonzero(trace.first_bad >= 0)
            if bad.size:
                run = int(bad[0])
                raise RunDiverged(
                    f"run {self._count + run} of the {self.name} population (seed {seeds[run]}) is not "
                    f"finite from step {int(trace.first_bad[run])} on ({bad.size} of {len(seeds)} runs); "
                    "lower lr, or raise the initial norm"
                )
            self._parts.append(trace)
            self._count = n
        return self._parts

    def gather(self, n: int, read: Callable[[Trace], Array]) -> Array:
        """``read`` of the first ``n`` runs, joined along the last axis (runs)."""
        return np.concatenate([read(trace) for trace in self.take(n)], axis=-1)[..., :n]


def judged_groups(net: NetSpec) -> dict[str, tuple[str, ...]]:
    """The invariant groups of a net that a law of the norm speaks about: name to tensors."""
    return {"+".join(g.names): g.names for g in net_groups(net) if g.kind in ("exact", "joint")}


class Experiment(Protocol):
    """What units are planned from: a struct with a title that no other of its claim has, and its net."""

    @property
    def title(self) -> str: ...
    @property
    def net(self) -> NetSpec: ...


def units_by_group(claim: str, experiments: Iterable[Experiment]) -> tuple[Unit, ...]:
    """One unit an experiment, with one decision an invariant group."""
    return tuple(
        Unit(
            claim=claim,
            title=f"{claim}: {experiment.title}",
            subject=msgspec.to_builtins(experiment),
            decisions=tuple(
                decision_name(claim, experiment, group) for group in judged_groups(experiment.net)
            ),
        )
        for experiment in experiments
    )


def decision_name(claim: str, experiment: Experiment, group: str) -> str:
    """Under which name the decision about a group has its share of the error budget."""
    return f"{claim}/{experiment.title}/{group}"


def file_name(*parts: str) -> str:
    """A figure's name made of words: letters, digits, dots and dashes only."""
    text = "--".join(parts)
    return "".join(c if c.isalnum() or c in "-._" else "-" for c in text)


def finding_of(
    examination: Examination,
    *,
    form: Form,
    group: str,
    subject: dict[str, Any],
    n_steps: int,
    figure: str,
    message: str = "",
    rival_values: Mapping[str, float] | None = None,
) -> Finding:
    """The finding that a sequential examination ends in.

    ``rival_values`` gives a rival that is a curve one number to be drawn beside the measured one.
    """
    d = examination.decision
    looks = (
        f"{examination.runs_used} runs a population in {examination.looks_used} look(s); "
        f"one look with the same promise would need {examination.fixed_runs}"
    )
    words = (message, f"margin: {d.margin_reason}", *d.notes, looks)
    return Finding(
        form=form,
        group=group,
        subject=subject,
        verdict=d.verdict,
        quantity=d.estimand,
        measured=Measured(value=d.estimate, low=d.low, high=d.high),
        expected=d.expected,
        margin=Margin(low=d.margin_low, high=d.margin_high),
        message="; ".join(word for word in words if word),
        detectable=d.detectable,
        false_fail=d.false_fail,
        false_pass=d.false_pass,
        rivals=tuple(
            RivalOutcome(
                name=r.name, expected=(rival_values or {}).get(r.name, r.expected), excluded=r.excluded
            )
            for r in d.rivals
        ),
        n_runs=d.n_runs,
        n_steps=n_steps,
        dtype="float32",
        figure=figure,
    )
