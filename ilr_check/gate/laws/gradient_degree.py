"""Gradients c times as large change the step by c^h, where eps is negligible."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ilr_check.evidence import Figure, Margin, Measured, RivalOutcome, Series
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.trajectory import probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.variation import without_eps_root
from ilr_check.optim.contracts.running import ROUNDINGS, Array

ORDER = 15
STEPS = 3
POWERS = (-8, -4, 0, 4, 8)
"""These are exponents of two, so that the scaling itself is exact."""
TINY_EPS = 1e-40
"""This eps is below the last bit of every moment, since moments are at least 1e-6."""
MARGIN = 1e-9
"""The measured degree is log2 of a ratio of steps over 8, each step good to 8 roundings of the weights: with
steps above 1e-6 of weights of size 1 that is 8 * 2^-53 / 1e-6 / 8 / ln 2 = 1.6e-10."""

FIXED = 1e-3
"""The same where eps is a constant of the optimizer. An eps of 1e-6 is 2.6e-4 of the smallest gradients,
2^-8, and changes the degree by 2.6e-4 / 4 / ln 2 = 1e-4; other degrees are whole numbers or halves."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the contract has no degree, or lr cannot be set."""
    reason = needs("lr")(subject)
    if reason or subject.contract is None:
        return reason
    if subject.contract.degree_for(subject.declared) is None:
        return "the family's step has no degree in the gradient"
    return ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the slope of log2 step size against log2 gradient size."""
    subject = without_eps_root(subject)
    contract = subject.contract
    assert contract is not None
    degree = contract.degree_for(subject.declared)
    assert degree is not None
    rng = circumstances.generator()
    shape = (3, 4)
    gradients = probing_gradients(contract, rng, [shape], STEPS)
    start = rng.uniform(0.5, 1.0, size=shape)
    hyper: dict[str, Any] = {"lr": 2.0**-4}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = 0.0
    fixed = "eps" in contract.names and not subject.can_vary("eps")
    if "eps" in contract.names and not fixed:
        hyper["eps"] = TINY_EPS
    for name in ("lambd", "initial_accumulator_value"):  # ASGD's second decay, and Adagrad's first sum
        if name in contract.names and subject.can_vary(name):
            hyper[name] = 0.0
    sizes = []
    for power in POWERS:
        scaled = [[None if g is None else g * 2.0**power for g in row] for row in gradients]
        trajectory = record_trajectory(subject, [start], scaled, **hyper)
        sizes.append(float(np.linalg.norm(trajectory.steps[-1].after[0] - trajectory.starts[0])))
    if min(sizes) == 0 or not all(math.isfinite(s) for s in sizes):
        yield Reading(
            group="degree",
            verdict="violated",
            message=f"steps of sizes {sizes}",
            diagnosis="the step vanishes or is not finite for some gradient sizes",
        )
        return
    logs = np.log2(np.array(sizes))
    slopes = np.diff(logs) / np.diff(np.array(POWERS, dtype=float))
    worst = float(slopes[np.argmax(np.abs(slopes - degree))])
    margin = max(FIXED if fixed else MARGIN, _rounding(start, sizes, subject.unit))
    good = abs(worst - degree) <= margin
    yield Reading(
        group="degree",
        verdict="holds" if good else "violated",
        quantity="degree of the step in the gradient",
        measured=Measured(value=worst),
        expected=degree,
        margin=Margin(low=degree - margin, high=degree + margin),
        message=f"gradients 2^4 times as large make steps {2 ** (4 * worst):.6g} times as large",
        diagnosis=""
        if good
        else f"the step goes with the gradient to the power {worst:.4g}, expected {degree:g}",
        rivals=tuple(
            RivalOutcome(name=f"degree {d}", expected=float(d), excluded=abs(worst - d) > margin)
            for d in (0, 1, 2)
            if d != degree
        ),
        n_steps=STEPS * len(POWERS),
        figure=Figure(
            name="gradient-degree",
            title="Step size against gradient size",
            x_label="gradient size",
            y_label="step size",
            x_log=True,
            y_log=True,
            series=(
                Series(
                    name="measured",
                    kind="points",
                    role="measured",
                    x=2.0 ** np.array(POWERS),
                    y=np.array(sizes),
                ),
                Series(
                    name=f"degree {degree:g}",
                    kind="line",
                    role="predicted",
                    x=2.0 ** np.array(POWERS),
                    y=sizes[2] * 2.0 ** (degree * np.array(POWERS)),
                ),
            ),
        ),
    )


def _rounding(start: Array, sizes: list[float], unit: float) -> float:
    """Return the bound on the rounding error of a slope; each step rounds the weights eight times.

    The relative error of a step of size s is then at most e = 8 * 3 * unit * |w| / s. The error of a slope
    between two sizes, whose gradients are 2^4 apart, is at most (e_1 + e_2) / (4 ln 2).
    """
    shares = ROUNDINGS * STEPS * unit * float(np.linalg.norm(start)) / np.array(sizes)
    return float(np.max(shares[1:] + shares[:-1])) / (4.0 * math.log(2.0))


LAW = GateLaw(
    text=law_text(
        "gradient-degree",
        "The step's degree in the gradient",
        "Gradients c times as large make steps c^h times as large, with the family's h.",
        equation="u(c g) = c^h u(g) as eps → 0",
        source="theory 4.1, general rule: h decides every other exponent",
        meaning="The gradient is squared, normalised, clipped or not normalised; or there is a hidden eps.",
        rivals=("degree 0", "degree 1", "degree 2"),
    ),
    tier="exact",
    blind_to="decay, and everything of the same degree",
    check=check,
    applies=applies,
)
