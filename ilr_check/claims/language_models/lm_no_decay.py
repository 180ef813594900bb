"""Once weight decay is 0, the norms of scale-invariant matrices grow, and their relative update falls."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Judged, Profile
from ilr_check.claims.figures import line, spread
from ilr_check.claims.findings import reported
from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.language_models.trainings.every_step import every_step
from ilr_check.claims.language_models.trainings.hidden import (
    FLUCTUATION,
    STRIDE,
    LanguageRuns,
    LanguageTraining,
    held_out_log_shares,
    invariant_kinds,
    kinds,
    norm_path,
    trained_with,
)
from ilr_check.claims.language_models.trainings.readings import (
    ALONG,
    STILL,
    logs,
    norms_from_noise,
    orthogonal,
    stands_still,
)
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mistakes import Mistake, mistake
from ilr_check.evidence import ClaimText, Figure, Measured
from ilr_check.evidence.records import Premise
from ilr_check.nets.transformer_specs import Placement
from ilr_check.stats import CurveEquivalence, Rival

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="lm-no-decay",
    title="In a language model without weight decay the effective learning rate falls as predicted",
    statement=(
        "A language model with post-norm is trained to equilibrium. Then weight decay is 0, and lr stays. "
        "What weight decay had taken in each step now adds up: after t steps the squared norm of a "
        "scale-invariant matrix is 1 + 2 lr * weight_decay * t times that of other runs, which keep their "
        "weight decay, with AdamW and with Muon. With SGD it is the root of 1 + 4 lr * weight_decay * t. The "
        "averages of the optimizer correct this a little, and the prediction has that. The step relative to "
        "the norm, which is all that such a matrix feels of lr, falls accordingly."
    ),
    equation="AdamW, Muon: ‖w‖² = (1 + 2ηλt) ‖w̃‖²;  SGD: ‖w‖⁴ = (1 + 4ηλt) ‖w̃‖⁴;  w̃ keeps its decay λ",
    source="Li, Lyu, Arora 2020, section 3, for SGD; Kosson et al. 2024 for updates of a fixed size",
    kind="statistical",
    chapter="language-models",
    groups=(),
    rivals=("the norm stays as it is", "the growth of the other kind of optimizer"),
    meaning=(
        "Weight decay is not switched off, or not in every matrix, or the size of an update depends on the "
        "norm in another way."
    ),
    blind=(
        "in the norms a weight decay that was wrong by less than about a half before it was switched off "
        "(the finding `every step` sees it), and an lr that is late by one step, because lr is constant."
    ),
)

TOLERANCE = 0.1
"""The tolerance on the log of the norm. It is that of lm-drop, which judges the same theory of white
gradients after another change."""
TOLERANCE_OF_A_MATRIX = 0.2
"""The tolerance on one matrix: twice that on the mean, because single matrices are farther from white noise.
A matrix that keeps its weight decay is 0.7 away and more."""
BLOCKS = 8
"""The time without weight decay is cut into so many blocks, and a curve has the mean over each of them."""
ROWS = 64
"""The number of held-out rows on which the losses are compared, 32 predictions each."""

CURVE, EACH = "norm without weight decay", "norm of each matrix at the end"
Rule = Literal["adamw", "muon", "sgd"]
RULES: tuple[Rule, ...] = ("adamw", "muon", "sgd")


class NoDecay(LanguageTraining, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``before`` steps with weight decay and ``after`` steps without. Other runs keep it."""

    before: int
    after: int
    planned_sd: float

    @property
    def steps(self) -> int:
        """Steps of one run."""
        return self.before + self.after

    def decays(self, left: float) -> Array:
        """Return weight decay at each step; ``left`` is the share of it that stays in the end."""
        return np.where(np.arange(self.steps) < self.before, 1.0, left) * self.weight_decay

    def log_growth(self, left: float = 0.0) -> Array:
        """Return log of the norm at the measured steps, over that of runs that keep their weight decay."""
        lr = np.full(self.steps, self.lr)
        path = norm_path(self.rule, self.net.width, lr, self.decays(left))[:-1:STRIDE]
        return np.asarray(0.5 * np.log(path / path[0]))

    def blocks(self, rows: Array) -> Array:
        """Return the means of [measured steps, ...] over each block without weight decay."""
        parts = np.array_split(rows[self.before // STRIDE :], BLOCKS)
        return np.stack([part.mean(axis=0) for part in parts])

    def rival_growth(self) -> dict[str, Array]:
        """Return log of the norm at the measured steps under each rival."""
        since = np.maximum(np.arange(0, self.steps, STRIDE) - self.before, 0)
        one = np.log1p(2.0 * self.intrinsic_lr * since) / 2.0
        other = np.log1p(4.0 * self.intrinsic_lr * since) / 4.0
        return dict(
            zip(TEXT.rivals, (np.zeros(len(since)), one if self.rule == "sgd" else other), strict=True)
        )


def experiments(profile: Profile, seed: int) -> list[NoDecay]:
    """Return OLMo-2 with Muon; beyond ``quick`` also with AdamW and SGD, and Gemma-3."""
    if profile == "quick":
        return [no_decay("post", "muon")]
    return [no_decay(placement, rule) for placement in ("post", "sandwich") for rule in RULES]


def no_decay(placement: Placement, rule: Rule) -> NoDecay:
    """Return the experiment for one architecture and one optimizer.

    lr * weight_decay is that of lm-drop, and half of it with SGD, whose norms forget twice as fast.
    """
    rates = {"adamw": (0.06, 0.4), "muon": (0.1, 0.25), "sgd": (0.5, 0.025)}[rule]
    return NoDecay(
        **trained_with(placement, rule, *rates), before=90, after=150, planned_sd=0.06, looks=(32, 64)
    )


class NoDecayRuns(LanguageRuns):
    """The runs whose weight decay is switched off, and those that keep it."""

    def __init__(self, spec: NoDecay, lab: Lab) -> None:
        super().__init__(spec, lab)
        self.no_decay = spec
        lr, scales = np.full(spec.steps, spec.lr), self.at_equilibrium(spec.lr, spec.weight_decay)
        self.without, self.kept = (
            self.settled(name, lr, spec.decays(left), scales)
            for name, left in (("weight decay switched off", 0.0), ("weight decay kept", 1.0))
        )

    def log_growth(self, names: tuple[str, ...], n: int) -> tuple[Array, Array]:
        """Return log of the norm over that of other runs, and what theory predicts, both [measured steps,
        matrices, n].

        With SGD the prediction is where the noise of the other runs leads the norm. The last of the other
        runs stands beside the first judged one, so that what is wrong with the same runs of both populations
        does not cancel.
        """
        spec = self.no_decay
        others = logs(self.kept, names, n)
        if spec.rule == "sgd":
            lr = np.full(spec.steps, spec.lr)
            predicted = norms_from_noise(others, lr, spec.decays(0.0)) - others.norm
        else:
            rows = spec.log_growth()
            predicted = np.broadcast_to(rows[:, None, None], others.norm.shape)
        return logs(self.without, names, n).norm - others.norm[..., ::-1], predicted[..., ::-1]

    def loss(self, population: Population, n: int) -> Array:
        """Return the held-out loss of each run at the end, [n]."""
        return population.gather(n, lambda trace: -held_out_log_shares(self.fleet, trace, ROWS).mean(axis=0))


def parts(spec: NoDecay) -> tuple[Part, ...]:
    """Return the curve of the mean over the invariant matrices, and each of them at the end."""
    names = tuple(name for kind in invariant_kinds(spec.net) for name in kinds(spec.net)[kind])
    return tuple(Part(what, names, what=what, figure=spec.rule) for what in (CURVE, EACH))


def design(spec: NoDecay, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for the whole curve, or for all matrices at once."""
    fluctuation = FLUCTUATION if spec.rule == "adamw" else 0.0
    curve = part.what == CURVE
    tolerance = TOLERANCE if curve else TOLERANCE_OF_A_MATRIX
    words = f"fluctuation of v (1 - beta2) {fluctuation:g} + " if fluctuation else ""
    theory = spec.blocks(spec.log_growth())
    if curve:
        rivals = {name: spec.blocks(rows) - theory for name, rows in spec.rival_growth().items()}
    else:
        zeros = (0.0,) * (len(part.tensors) - 1)
        rivals = {"one matrix keeps its weight decay": np.array([-theory[-1], *zeros])}
    what = "norm" if curve else "norm at the end"
    return CurveEquivalence(
        estimand=f"log({what} / norm of other runs with weight decay), less theory",
        points=BLOCKS if curve else len(part.tensors),
        margin=(-tolerance - fluctuation, tolerance + fluctuation),
        margin_reason=f"{words}tolerance {tolerance:g}",
        rivals=tuple(Rival(name=name, expected=tuple(x.tolist())) for name, x in rivals.items()),
        looks=spec.looks,
        false_fail=alpha,
        sd=spec.planned_sd,
    )


def mistakes(spec: NoDecay, part: Part) -> tuple[Mistake, ...]:
    """Return a growth of the squared norm, or of its square with SGD, that is too fast, or one matrix that
    keeps a part of its weight decay."""
    power = 4.0 if spec.rule == "sgd" else 2.0
    growth = spec.log_growth()

    def faster(size: float) -> list[float]:
        rows = np.log1p((1.0 + size) * np.expm1(power * growth)) / power
        return [float(x) for x in spec.blocks(rows - growth)]

    def kept(size: float) -> list[float]:
        gap = float(spec.blocks(spec.log_growth(size) - growth)[-1])
        return [gap, *(0.0,) * (len(part.tensors) - 1)]

    if part.what == CURVE:
        return (mistake("a growth that is {} too fast", faster),)
    return (mistake("one matrix keeps {} of its weight decay", kept),)


def sample(runs: NoDecayRuns, part: Part, n: int) -> Array:
    """Return the deviations of each pair of runs, [n, blocks] or [n, matrices]."""
    measured, predicted = runs.log_growth(part.tensors, n)
    found = runs.no_decay.blocks(measured - predicted)
    return np.asarray(found.mean(axis=1).T if part.what == CURVE else found[-1].T)


def premises(seen: Examined[NoDecay, NoDecayRuns]) -> tuple[Premise, ...]:
    """The other runs must stay at equilibrium, and gradients be orthogonal to the weights."""
    runs, names, n = seen.runs, seen.tensors, seen.n
    kept = logs(runs.kept, names, n).norm[seen.spec.before // STRIDE :]
    return (
        stands_still(kept, "of the runs that keep their weight decay"),
        orthogonal((runs.without, runs.kept), names, n),
    )


def message(seen: Examined[NoDecay, NoDecayRuns]) -> str:
    """Say the settings, and how far the relative update falls."""
    spec = seen.spec
    measured, predicted = (
        math.exp(-float(spec.blocks(rows)[-1].mean())) for rows in seen.runs.log_growth(seen.tensors, seen.n)
    )
    return (
        f"lr {spec.lr:g}, weight_decay {spec.weight_decay:g}; in the last block the relative update is "
        f"{measured:.3f} times that with weight decay ({predicted:.3f} predicted)"
    )


def closing(spec: NoDecay, runs: NoDecayRuns, subject: dict[str, Any], n: int) -> Judged:
    """Report by how much weight decay changes the held-out loss."""
    without, kept = runs.loss(runs.without, n), runs.loss(runs.kept, n)
    gap = float(without.mean() - kept.mean())
    error = 2.0 * math.sqrt(without.var(ddof=1) / n + kept.var(ddof=1) / n)
    return Judged(
        (
            reported(
                message=(
                    f"the held-out loss is {without.mean():.3f} nats per byte without weight decay in the "
                    f"last {spec.after} steps and {kept.mean():.3f} with it. The loss does not depend on the "
                    "norms of scale-invariant matrices, so it owes them only that their relative update "
                    "falls, as after a decay of lr; the gate is not invariant. The theory does not predict "
                    "the loss. The interval is two standard errors"
                ),
                group="held-out loss",
                subject=subject,
                quantity="held-out loss without weight decay, less that with it",
                measured=Measured(value=gap, low=gap - error, high=gap + error),
                n_runs=n,
                n_steps=2 * spec.steps,
            ),
            *every_step(spec, runs, subject, n).findings,
        )
    )


def figure(seen: Examined[NoDecay, NoDecayRuns]) -> Figure:
    """Draw the relative update after weight decay was switched off."""
    spec = seen.spec
    names, known = (TEXT.rivals[0], "the norm grows as with SGD"), "lr and the old weight decay alone"
    if spec.rule == "sgd":
        names = (TEXT.rivals[0], "the norm grows as with AdamW or Muon")
        known = "lr, and how large the gradients of the other runs are"
    first = spec.before // STRIDE
    since = np.arange(0, spec.steps, STRIDE)[first:] - spec.before
    measured, predicted = (rows[first:].mean(axis=1).T for rows in seen.runs.log_growth(seen.tensors, seen.n))
    return Figure(
        name="",
        title=f"Relative step size once weight decay is off, {spec.title}",
        x_label="steps without weight decay",
        y_label="lr / ||w||, over that of runs with weight decay",
        y_log=True,
        series=(
            *spread(since, -measured),
            line("prediction", "predicted", since, np.exp(-predicted.mean(axis=0))),
            *(
                line(f"rival: {name}", "rival", since, np.exp(-rows[first:]))
                for name, rows in zip(names, spec.rival_growth().values(), strict=True)
            ),
        ),
        caption=(
            "Weight decay is switched off at step 0, and lr stays. The norms grow, so each step turns the "
            f"weights less, as if lr were lowered. The prediction knows {known}."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=NoDecay,
    experiments=experiments,
    run_steps=lambda spec: 2 * spec.looks[0] * spec.steps,
    trained=NoDecayRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda spec, part: 2 * spec.steps,
    message=message,
    figure=figure,
    mistakes=mistakes,
    premises=premises,
    closing=closing,
    presupposes=(
        f"log of the mean norm of the runs that keep their weight decay moves by {STILL:g} at most, and "
        f"gradients are orthogonal to the weights up to {ALONG:g}."
    ),
)
CLAIM = LAW.claim()
