"""A statistical claim whose six units each train real fleets for a fraction of a second.

Runs that are killed and resumed by the hundred need units that are cheap. The command, the engine, the run
folder, the fleet and the error budget are the real ones. ``register`` adds it as users add theirs; importing
this file does not, so that tests which are collected in the same process see the shipped catalogue.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ilr_check import register_claim
from ilr_check.claims import catalogue
from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, Series
from ilr_check.nets.specs import MLPSpec
from ilr_check.seeds import derive
from ilr_check.train.fleet import Fleet, Runs

NAME = "soak-decay"
UNITS = 6
RUNS = 8
STEPS = 40


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """Six weight decays."""
    return tuple(
        Unit(
            claim=NAME,
            title=f"{NAME} {number}",
            subject={"weight_decay": 0.02 * number},
            decisions=(f"{NAME} {number}",),
        )
        for number in range(UNITS)
    )


def judge(subject: dict[str, Any], context: Context) -> Judged:
    """Train some runs and note where the norm ends; the verdict says that it is finite."""
    net = MLPSpec(inputs=64, widths=(8,), classes=10)
    fleet = Fleet(net, DigitsSpec(), batch_size=16, lanes=RUNS, compile=False)
    seeds = np.array([derive("soak", context.seed, number) % 2**31 for number in range(RUNS)])
    trace = fleet.train(Runs(seeds=seeds, lr=0.1, weight_decay=np.full(RUNS, subject["weight_decay"])), STEPS)
    norms = np.asarray(trace.norm2, dtype=np.float64).reshape(-1)
    context.progress(0.5)
    series = Series(name="norms", kind="histogram", role="measured", y=norms)
    figure = f"{NAME}-{subject['weight_decay']:.2f}"
    finding = Finding(
        form="raw",
        group="all",
        subject=subject,
        verdict="holds" if np.isfinite(norms).all() else "violated",
        quantity="norm",
        measured=Measured(value=float(norms.mean()), low=float(norms.min()), high=float(norms.max())),
        expected=None,
        margin=Margin(),
        message=f"the norms of {RUNS} runs",
        false_fail=context.alpha(next(iter(context.alphas), "")),
        n_runs=RUNS,
        n_steps=STEPS,
        figure=figure,
    )
    drawn = Figure(name=figure, title="", x_label="", y_label="", series=(series,))
    return Judged((finding,) * 2, (drawn,))


CLAIM = Claim(
    text=ClaimText(
        id=NAME,
        title="Norms of small nets stay finite",
        statement="The norm of every run is finite.",
        equation="",
        source="this soak",
        kind="statistical",
        chapter="function-space",
        groups=(),
        rivals=("infinite",),
        meaning="The fleet is broken.",
    ),
    plan=plan,
    judge=judge,
)


def register() -> None:
    """Add the claim to the catalogue of this process, once."""
    if NAME not in catalogue():
        register_claim(CLAIM)
