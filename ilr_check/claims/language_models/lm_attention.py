"""With QK-norm the temperature of attention does not depend on the norms of its queries and keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.language_models.trainings.every_step import every_step
from ilr_check.claims.language_models.trainings.hidden import (
    BETA2,
    CHUNK,
    LanguageRuns,
    LanguageTraining,
    held_out_log_shares,
    kinds,
    of_kind,
    trained_with,
)
from ilr_check.claims.law import Departure, Examined, Part, StatisticalLaw
from ilr_check.claims.mistakes import Mistake, mistake
from ilr_check.data import TextSpec
from ilr_check.data.text import rows_held_out
from ilr_check.evidence import ClaimText, Figure
from ilr_check.evidence.records import Premise
from ilr_check.nets.transformer_specs import Placement
from ilr_check.nets.transformers import attention_scores
from ilr_check.optim.composed import ENDS, GAINS, Composed, composed
from ilr_check.optim.composed import Part as Parted
from ilr_check.optim.modelled import MODELLED
from ilr_check.stats import MeanEquivalence, Rival
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="lm-attention",
    title="With QK-norm the norms of queries and keys do not set the temperature of attention",
    statement=(
        "In a language model with QK-norm, two trainings have equal lr * weight_decay, and in one of them "
        "the matrices of queries and keys have twice the lr and half of the weight decay. So their norms are "
        "twice as large, and without QK-norm the scores of attention would be four times as large at equal "
        "directions. With QK-norm the spread of the scores over the keys that a query sees, which is one "
        "over the temperature of attention, is the same."
    ),
    equation="q̂ = q/rms(q): scores(c W_q, d W_k) = scores(W_q, W_k), else = c d scores(W_q, W_k)",
    source="scale invariance under QK-norm; (η, λ) ~ (cη, λ/c): Li, Lyu, Arora 2020, section 5",
    kind="statistical",
    chapter="language-models",
    groups=(),
    rivals=("the norms of queries and keys set the scores",),
    meaning=(
        "Queries or keys are not normalised behind their matrices, or their weight decay is not multiplied "
        "by lr."
    ),
    blind=(
        "in the scores a weight decay or an lr that is wrong by the same factor in both trainings (the "
        "finding `every step` sees it); and what sets the temperature: with QK-norm these are the gains of "
        "the norms, which are trained and have no scale."
    ),
)

FACTOR = 2.0
"""lr of queries and keys is multiplied by this, and their weight decay is divided by it."""
LOG_PRODUCT = 2.0 * math.log(FACTOR)
"""log of the growth of |W_q| |W_k| at equilibrium, each of which is proportional to sqrt(lr / wd)."""
TOLERANCE = 0.1
"""The margin is this share of ``LOG_PRODUCT``: 0.14."""
RATIO_MARGIN = 0.15
"""How far log of the growth of |W_q| |W_k| may be from ``LOG_PRODUCT``, as in lm-norm-relaxation."""
ROWS = 16
"""The number of held-out rows on which scores are computed, 32 queries each."""
RECORDED = 3
"""Every third step is recorded, so that there are the 48 losses that show whether runs are independent."""
REFERENCE, LARGER, WITHOUT = (
    "the reference",
    "twice the lr and half of the weight decay of queries and keys",
    "no weight decay of queries and keys",
)
CHANGES: dict[str, tuple[float, float]] = {
    REFERENCE: (1.0, 1.0),
    LARGER: (FACTOR, 1.0 / FACTOR),
    WITHOUT: (1.0, 0.0),
}
"""The factors of lr and weight decay of queries and keys in each population."""
Q_AND_K = ("q.*", "k.*")


class Attention(LanguageTraining, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of ``steps`` steps, at whose end the scores are computed."""

    steps: int


def experiments(profile: Profile, seed: int) -> list[Attention]:
    """Return Qwen3 with AdamW; beyond ``quick`` also with Muon, and OLMo-2 and Gemma-3 with both."""
    if profile == "quick":
        return [attention("qk", "adamw")]
    placements: tuple[Placement, ...] = ("qk", "post", "sandwich")
    return [attention(placement, rule) for placement in placements for rule in RULES]


Rule = Literal["adamw", "muon"]
RULES: tuple[Rule, ...] = ("adamw", "muon")


def attention(placement: Placement, rule: Rule) -> Attention:
    """Return the experiment for one architecture and one optimizer; lr * weight_decay is that of lm-drop."""
    rates = {"adamw": (0.06, 0.4), "muon": (0.1, 0.25)}[rule]
    return Attention(**trained_with(placement, rule, *rates), steps=160, looks=(32, 64))


@lru_cache(maxsize=8)
def with_own_attention(rule: Rule) -> Composed:
    """Return the rule of the hidden matrices, with factors of lr and weight decay for queries and keys."""
    rest = {"beta2": BETA2, "weight_decay": 0.0}
    own = {"beta2": BETA2} if rule == "adamw" else {}
    return composed(
        f"{rule} of hidden matrices, with other settings of queries and keys",
        Parted(name="gains", rule=MODELLED["adamw"], tensors=GAINS, hyper=rest),
        Parted(name="ends", rule=MODELLED["adamw"], tensors=ENDS, hyper=rest),
        Parted(name="attention", rule=MODELLED[rule], tensors=Q_AND_K, hyper=own),
        Parted(name="hidden", rule=MODELLED[rule], hyper=own),
    )


class AttentionRuns(LanguageRuns):
    """The populations, and the scores of their models."""

    def __init__(self, spec: Attention, lab: Lab) -> None:
        super().__init__(spec, lab)
        self.attention = spec
        self.populations = {name: self._changed(name, *change) for name, change in CHANGES.items()}

    @property
    def fleet(self) -> Fleet:
        """The fleet, whose rule has factors for queries and keys."""
        spec = self.attention
        rule = with_own_attention(spec.rule)
        return self.lab.fleet(spec.net, spec.data, batch_size=spec.batch_size, rule=rule)

    def _changed(self, name: str, lr: float, weight_decay: float) -> Population:
        spec = self.attention
        hyper = {"attention.lr": lr, "attention.weight_decay": weight_decay}
        rest = spec.rest_lr / spec.lr
        scales = self.at_equilibrium(spec.lr, spec.weight_decay)

        def train(seeds: Sequence[int]) -> Trace:
            runs = Runs(
                seeds=seeds,
                lr=spec.lr,
                weight_decay=spec.weight_decay,
                momentum=spec.momentum,
                init_scale=scales,
                hyper={"ends.lr": rest, "gains.lr": rest, **hyper},
            )
            return self.lab.train(self.fleet, runs, spec.steps, record_every=RECORDED)

        return self.lab.population(name, train)

    def log_spread(self, name: str, n: int) -> Array:
        """Return log of the spread of the scores of each run, [n]."""
        return self.populations[name].gather(n, lambda trace: self._read(trace)[0])

    def entropy(self, name: str, n: int) -> Array:
        """Return the entropy of attention over that of equal shares, mean over the queries, [n]."""
        return self.populations[name].gather(n, lambda trace: self._read(trace)[1])

    def loss(self, name: str, n: int) -> Array:
        """Return the held-out loss of each run, [n]."""
        return self.populations[name].gather(
            n, lambda trace: -held_out_log_shares(self.fleet, trace, ROWS).mean(axis=0)
        )

    def log_product(self, name: str, n: int) -> Array:
        """Return log of |W_q| |W_k| at the last measured step, mean over the blocks, [n]."""
        found = kinds(self.attention.net)

        def logs(trace: Trace) -> Array:
            norm2 = of_kind(trace, (*found["q"], *found["k"]), "norm2")[-1]
            return np.asarray(np.log(norm2).mean(axis=-1))

        return self.populations[name].gather(n, logs)

    def _read(self, trace: Trace) -> Array:
        """Return log spread and relative entropy of the runs of a trace, [2, runs]."""
        spec, fleet = self.attention, self.fleet
        assert isinstance(spec.data, TextSpec)
        rows = rows_held_out(spec.data, ROWS)[0].to(fleet.device)[:, :-1]

        def scores(weights: dict[str, Tensor]) -> Tensor:
            return attention_scores(fleet.module, rows, weights)

        found = []
        with torch.no_grad():
            for start in range(0, len(trace.first_bad), CHUNK):
                weights = {name: w[start : start + CHUNK] for name, w in trace.final.items()}
                found.append(torch.stack(spread_and_entropy(vmap(scores)(weights).double())))
        return np.asarray(torch.cat(found, dim=1).cpu().numpy())


def spread_and_entropy(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return log of the root mean square deviation of scores [runs, ..., queries, keys] from the mean over
    the keys that a query sees, and the entropy of its softmax over the log of their number.

    A query sees the keys up to its own; the first one sees one key, and is left out. Adding a number to all
    scores of a query changes nothing in attention, and nothing here.
    """
    queries = scores.shape[-2]
    seen = torch.ones(queries, queries, dtype=torch.bool, device=scores.device).tril()
    count = seen.sum(dim=-1)
    kept = scores.masked_fill(~seen, 0.0)
    mean = kept.sum(dim=-1) / count
    squares = ((kept - mean[..., None]).masked_fill(~seen, 0.0) ** 2).sum(dim=-1) / count
    logs = torch.log_softmax(scores.masked_fill(~seen, -torch.inf), dim=-1).masked_fill(~seen, 0.0)
    entropy = -(logs.exp().masked_fill(~seen, 0.0) * logs).sum(dim=-1) / count.clamp(min=2).log()
    return (
        0.5 * squares[..., 1:].flatten(1).mean(dim=1).log(),
        entropy[..., 1:].flatten(1).mean(dim=1),
    )


def parts(spec: Attention) -> tuple[Part, ...]:
    """Return the spread of the scores in all blocks and heads."""
    return (Part("spread of the attention scores", figure="scores"),)


def design(spec: Attention, part: Part, alpha: float) -> MeanEquivalence:
    """Return the design."""
    room = TOLERANCE * LOG_PRODUCT
    return MeanEquivalence(
        estimand="log(spread of the scores at twice the norms / spread)",
        margin=(-room, room),
        margin_reason=f"{TOLERANCE:g} of log 4, by which the product of the norms grows",
        rivals=(Rival(name=TEXT.rivals[0], expected=LOG_PRODUCT),),
        looks=spec.looks,
        false_fail=alpha,
        sd=0.13,
    )


def mistakes(spec: Attention, part: Part) -> tuple[Mistake, ...]:
    """Return scores that grow with a small power of the norms."""
    return (mistake("the scores grow by {} of the growth of the norms", lambda size: size * LOG_PRODUCT),)


def sample(runs: AttentionRuns, part: Part, n: int) -> Array:
    """Return log of the ratio of the spreads of each pair of runs, [n]."""
    return runs.log_spread(LARGER, n) - runs.log_spread(REFERENCE, n)[::-1]


def premises(seen: Examined[Attention, AttentionRuns]) -> tuple[Premise, ...]:
    """The norms of queries and keys must be twice as large."""
    runs, n = seen.runs, seen.n
    gap = float(runs.log_product(LARGER, n).mean() - runs.log_product(REFERENCE, n).mean() - LOG_PRODUCT)
    return (
        Premise.within(
            "log of the growth of the product of the norms of queries and keys, less log 4", gap, RATIO_MARGIN
        ),
    )


def message(seen: Examined[Attention, AttentionRuns]) -> str:
    """Say what attention is like in every population."""
    spec, runs, n = seen.spec, seen.runs, seen.n
    told = [f"lr {spec.lr:g}, weight_decay {spec.weight_decay:g} of the hidden matrices"]
    for name in runs.populations:
        loss = runs.loss(name, n)
        told.append(
            f"{name}: spread of the scores {math.exp(runs.log_spread(name, n).mean()):.3f}, entropy of "
            f"attention over that of equal shares {runs.entropy(name, n).mean():.3f}, |W_q| |W_k| "
            f"{math.exp(runs.log_product(name, n).mean()):.2f}, held-out loss {loss.mean():.3f} +- "
            f"{loss.std(ddof=1) / math.sqrt(n):.3f}"
        )
    return ". ".join(told)


def figure(seen: Examined[Attention, AttentionRuns]) -> Figure:
    """Draw the spread of the scores and the product of the norms, over those of the reference."""
    runs, n = seen.runs, seen.n
    x = np.arange(1.0, len(CHANGES) + 1.0)
    series = [line("prediction: the spread does not change", "predicted", x, np.ones(len(x)))]
    for words, role, read in (
        ("spread of the scores", "measured", runs.log_spread),
        ("norm of W_q times norm of W_k, which it follows without QK-norm", "control", runs.log_product),
    ):
        gaps = np.stack([read(name, n) - read(REFERENCE, n)[::-1] for name in CHANGES])
        middle, error = gaps.mean(axis=1), 2.0 * gaps.std(axis=1, ddof=1) / math.sqrt(n)
        ends = (np.exp(v) for v in (middle, middle - error, middle + error))
        series.append(interval(words, x, *ends, role=role))
    return Figure(
        name="",
        title=f"Spread of the attention scores while W_q and W_k grow, {seen.spec.title}",
        x_label=", ".join(f"{place:g} {name}" for place, name in zip(x, CHANGES, strict=True)),
        y_label="relative to the reference",
        y_log=True,
        series=tuple(series),
        caption=(
            "The spread says how much the scores of the keys differ for one query: where it is larger, fewer "
            "keys get attention. Without QK-norm it is proportional to the norms of the matrices of queries "
            "and keys, W_q and W_k, which lr and weight decay set. With QK-norm it does not depend on them. "
            "Bars are two standard errors."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Attention,
    experiments=experiments,
    run_steps=lambda spec: len(CHANGES) * spec.looks[0] * spec.steps,
    trained=AttentionRuns,
    parts=parts,
    design=design,
    sample=sample,
    steps=lambda spec, part: len(CHANGES) * spec.steps,
    form="prediction",
    message=message,
    figure=figure,
    mistakes=mistakes,
    closing=every_step,
    premises=premises,
    presupposes=(
        f"the product of the norms of queries and keys grows by a factor of 4; its log is right up to "
        f"{RATIO_MARGIN:g}."
    ),
    departures=(
        Departure(
            spec=attention("pre", "adamw"),
            expected={"": "violated"},
            reason=(
                "Llama has no QK-norm, so its scores are proportional to the norms of queries and keys, as "
                "far as training does not turn them"
            ),
        ),
    ),
)
CLAIM = LAW.claim()
