"""Without weight decay the weight norm grows for ever, and the effective LR falls as t^(-1/2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import line, spread
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.noise_references import (
    TrainingSpec,
    TransferReadings,
    TransferRuns,
    run_steps,
)
from ilr_check.claims.mean_field.trainings.transfer import predicted_from
from ilr_check.claims.mistakes import wrong_exponent
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText, Figure
from ilr_check.stats import MeanEquivalence, Rival

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="no-decay-growth",
    title="Without weight decay the effective LR falls as t^(-1/2)",
    statement=(
        "With weight decay 0 the weight norm never stops growing. gamma = ||w||^4 / lr^2 grows by twice the "
        "squared gradient at unit norm in each step. Therefore the effective LR, lr / ||w||^2, falls as "
        "t^(-1/2), once the change of the noise that other runs show is taken into account."
    ),
    equation="γ(t) = γ₀ + 2 Σ G²,  effLR ∝ t^(−1/2)",
    source="Li, Lyu, Arora 2020, Theorem 5.1 at lambda_e = 0; Arora, Li, Lyu 2019",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("t^(-1/4)", "t^(-1)"),
    meaning=(
        "Something shrinks or fixes the weights although weight decay is 0, or the length of a step is not "
        "proportional to the gradient. Examples are a hidden decay, a projection, a normalised gradient."
    ),
    blind="a constant factor on the gradient or on lr: it moves the curve and hardly changes its exponent.",
)

POWERS = dict(zip(TEXT.rivals, (-0.25, -1.0), strict=True))
"""The exponent under each rival."""

TOLERANCE = 0.03
"""The tolerance in the exponent. The rivals are 0.25 and 0.5 away."""


class Growth(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training without weight decay. The exponent is fitted from step ``first`` on."""

    steps: int = 2000
    first: int = 60
    initial_norm: float = 0.5
    planned_sd: float | None = 0.03

    def schedule(self) -> Array:
        """The LR at each step."""
        return np.full(self.steps, self.lr)

    def decays(self) -> Array:
        """The weight decay at each step: none."""
        return np.zeros(self.steps)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which the curve is read, evenly in log t."""
        return np.unique(np.geomspace(self.first, self.steps - 1, 20).round().astype(np.intp))

    def exponents(self, norm2: Array) -> Array:
        """Return the least-squares slope of log effective LR against log t.

        ``norm2`` [points, ...] are squared norms at the grid.
        """
        x = np.log(self.grid().astype(float))
        weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        return np.asarray(-np.tensordot(weight, np.log(norm2), axes=1))


def experiments(profile: Profile, seed: int) -> list[Growth]:
    """Return the reference net on digits with label noise 0.5; beyond ``quick`` also other nets."""
    beside = ("BatchNorm CNN", "BatchNorm, batch 128")
    return [Growth(**s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)]


def design(growth: Growth, part: Part, alpha: float) -> MeanEquivalence:
    """Return the design for the exponent, against -1/2."""
    return MeanEquivalence(
        estimand="exponent of the effective LR in t, less what the change of the noise adds to it",
        theory=-0.5,
        margin=(-0.5 - TOLERANCE, -0.5 + TOLERANCE),
        # Beside 2 G^2 a step the recursion adds G^4/gamma, which is not linear in the noise. The start is
        # small, so that the first step adds 20 times as much as a later one. If G^2 varies there by
        # V = Var(G^2)/E(G^2)^2, the exponent is higher by 0.002 (V = 0.1) to 0.007 (V = 0.5), by simulation.
        margin_reason=f"tolerance {TOLERANCE}; the noise of the first step takes up to a quarter of it",
        rivals=tuple(Rival(name=name, expected=power) for name, power in POWERS.items()),
        looks=growth.looks,
        false_fail=alpha,
        sd=growth.planned_sd,
    )


def exponents(runs: TransferRuns[Growth], part: Part, n: int) -> Array:
    """Return the exponent of each run without what the changing noise adds to it, [n].

    The noise references say how the noise changes, and the recursion says what this adds.
    """
    growth = runs.training
    own = runs.judged.gather(n, lambda t: t.group(part.tensors).norm2[growth.grid()])
    _, explained = predicted_from(
        runs.noise_reference.gather(n, lambda t: t.group(part.tensors).unit_grad2),
        growth.schedule(),
        growth.decays(),
        growth.initial_norm**2 * len(part.tensors),
        lambda path: growth.exponents(path[growth.grid()]),
    )
    return growth.exponents(own) - explained - 0.5


def _figure(seen: Examined[Growth, TransferRuns[Growth]]) -> Figure:
    readings = TransferReadings(seen.runs, seen.tensors)
    t, prediction = seen.spec.grid().astype(float), readings.log_predicted(seen.n)
    runs, mean = spread(t, readings.log_effective_lr(seen.n))
    return Figure(
        name="",
        title="",
        x_label="step",
        y_label="effective LR, lr / norm squared",
        x_log=True,
        y_log=True,
        series=(
            runs,
            line("prediction from other runs' noise", "predicted", t, np.exp(prediction)),
            mean,
            *(
                line(f"rival: {name}", "rival", t, np.exp(prediction[0]) * (t / t[0]) ** power)
                for name, power in POWERS.items()
            ),
        ),
        caption=(
            "Without weight decay the norm only grows. On logarithmic axes the effective LR falls along a "
            "line of slope -1/2. The line bends only because the noise changes as the loss falls."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Growth,
    experiments=experiments,
    run_steps=run_steps,
    trained=TransferRuns,
    design=design,
    mistakes=lambda growth, part: (wrong_exponent(-0.5),),
    sample=exponents,
    steps=lambda growth, part: growth.steps,
    figure=_figure,
)
CLAIM = LAW.claim()
