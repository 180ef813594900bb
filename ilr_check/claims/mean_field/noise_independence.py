"""Batch noise is independent from step to step if batches are drawn with replacement, and else it is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, vmap

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.populations import file_name, finding_of
from ilr_check.data import DataSpec, DigitsSpec
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.evidence import ClaimText, Figure, Series
from ilr_check.nets import build
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.seeds import derive
from ilr_check.stats import MeanEquivalence, Rival, examine

Array = NDArray[np.float64]
Sampler = Callable[["Sampling", int], NDArray[np.intp]]
"""(sampling, seed) -> the examples of every batch, [epochs, batches an epoch, batch size]."""

TEXT = ClaimText(
    id="noise-independence",
    title="Is the noise of one step independent of the next?",
    statement=(
        "At fixed weights the noise of successive minibatches is uncorrelated where batches are drawn with "
        "replacement; inside an epoch that is shuffled once, N/B batches share what is left, and their noise "
        "has the correlation -1/(N/B - 1)."
    ),
    equation="corr(n_t, n_t+1) = 0,  or −1/(N/B − 1) inside an epoch",
    source="the assumption behind Li, Lyu, Arora 2020, Theorem 5.1; asked by reviewer 4",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("correlation of the other way to draw",),
    meaning=(
        "Batches are not drawn as stated: an order that is reused, a sampler that shuffles within buckets, "
        "or batches that overlap."
    ),
    blind=(
        "how large the noise is, and its correlation over two batches and more, which is drawn but not "
        "judged."
    ),
)

TOLERANCE = 0.03
"""What we tolerate in the correlation; the two ways to draw are 1/7 apart."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How batches are drawn at fixed random weights of a LayerNorm net, where per-example gradients add up.

    Under batch norm they do not: an example's gradient depends on its batch.
    """

    title: str
    order: Literal["with replacement", "shuffled epochs"]
    data: DataSpec
    net: MLPSpec
    examples: int = 256
    batch_size: int = 32
    epochs: int = 40
    planned_sd: float | None = 0.03
    looks: tuple[int, ...] = (48, 96)

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        return self.examples // self.batch_size

    @property
    def expected(self) -> float:
        """The correlation of neighbours inside an epoch."""
        return 0.0 if self.order == "with replacement" else self.shuffled

    @property
    def shuffled(self) -> float:
        """-1/(N/B - 1): the noise of an epoch's batches adds up to 0."""
        return -1.0 / (self.batches - 1)


def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
    """Both ways to draw, in a LayerNorm net; in a GroupNorm net with smaller batches too beyond ``quick``."""
    net = MLPSpec(inputs=64, widths=(24,), classes=10, norm=NormSpec(kind="layer"))
    orders: tuple[Literal["with replacement", "shuffled epochs"], ...] = (
        "with replacement",
        "shuffled epochs",
    )
    samplings = [Sampling(title=order, order=order, data=DigitsSpec(), net=net) for order in orders]
    if profile != "quick":
        other = msgspec.structs.replace(net, widths=(24, 24), norm=NormSpec(kind="group", groups=4))
        samplings += [
            msgspec.structs.replace(s, title=f"{s.title}, GroupNorm, batch 16", net=other, batch_size=16)
            for s in samplings
        ]
    return tuple(
        Unit(
            claim=TEXT.id,
            title=f"{TEXT.id}: {sampling.title}",
            subject=msgspec.to_builtins(sampling),
            decisions=(f"{TEXT.id}/{sampling.title}",),
        )
        for sampling in samplings
    )


def drawn(sampling: Sampling, seed: int) -> NDArray[np.intp]:
    """The examples of every batch, as the fleet draws them or in shuffled epochs."""
    shape = (sampling.epochs, sampling.batches, sampling.batch_size)
    if sampling.order == "shuffled epochs":
        rng = np.random.default_rng(derive("epochs", seed))
        orders = [rng.permutation(sampling.examples)[: shape[1] * shape[2]] for _ in range(shape[0])]
        return np.stack(orders).reshape(shape)
    batches = Batches(
        examples=sampling.examples, classes=10, batch_size=shape[2], label_noise=0.0, device="cpu"
    )
    index, _ = batches.draw(batches.generators([seed]), shape[0] * shape[1])
    return np.asarray(index[:, 0].numpy().reshape(shape))


def judge(subject: dict[str, Any], context: Context, *, sampler: Sampler = drawn) -> Judged:
    """Judge one way to draw; tests plant defects through ``sampler``."""
    sampling = msgspec.convert(subject, type=Sampling)
    rival = sampling.shuffled - sampling.expected
    design = MeanEquivalence(
        estimand="correlation of the noise of neighbouring batches inside an epoch",
        theory=sampling.expected,
        margin=(sampling.expected - TOLERANCE, sampling.expected + TOLERANCE),
        margin_reason=f"tolerance {TOLERANCE}; the mean gradient is known exactly, so nothing is left out",
        rivals=(Rival(name=TEXT.rivals[0], expected=rival),),
        looks=sampling.looks,
        false_fail=context.alpha(f"{TEXT.id}/{sampling.title}"),
        sd=sampling.planned_sd,
    )
    seen: list[Array] = []
    examination = examine(design, partial(_correlations, sampling, context, sampler, seen))
    if not examination.runs_used:
        return Judged((_finding(examination, sampling, subject, ""),))
    figure = _figure(sampling, np.stack(seen)[: examination.runs_used])
    return Judged((_finding(examination, sampling, subject, figure.name),), (figure,))


def _finding(examination: Any, sampling: Sampling, subject: dict[str, Any], figure: str) -> Finding:
    return finding_of(
        examination,
        form="raw",
        group=sampling.title,
        subject=subject,
        n_steps=sampling.epochs * sampling.batches,
        figure=figure,
    )


def _correlations(sampling: Sampling, context: Context, sampler: Sampler, seen: list[Array], n: int) -> Array:
    """Lag-1 correlation of n independent nets, each with its own batches, [n]; keeps all lags in ``seen``."""
    while len(seen) < n:
        seed = derive(context.seed, "sampling", len(seen))
        noise = _example_noise(sampling, seed)
        batches = noise[sampler(sampling, seed)].mean(axis=2)
        products = np.einsum("eid,ejd->eij", batches, batches).mean(axis=0)
        size = float(np.diag(products).mean())
        seen.append(np.array([np.diag(products, lag).mean() / size for lag in range(1, sampling.batches)]))
        context.progress(min(1.0, len(seen) / n))
    return np.array([lags[0] for lags in seen[:n]])


def _example_noise(sampling: Sampling, seed: int) -> Array:
    """Per-example gradients less their mean at random weights, [examples, parameters]."""
    dataset = load(sampling.data)
    x, y = dataset.x[: sampling.examples], dataset.y[: sampling.examples]
    module = build(sampling.net)
    weights = initial_parameters(sampling.net, seed)

    def loss(parameters: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = functional_call(module, parameters, (one[None],))
        return torch.nn.functional.cross_entropy(logits, label[None])

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, y)
    flat = torch.cat([g.flatten(1) for g in gradients.values()], dim=1).numpy()
    return np.asarray(flat - flat.mean(axis=0))


def _figure(sampling: Sampling, lags: Array) -> Figure:
    x = np.arange(1.0, sampling.batches)
    error = 4.0 * lags.std(axis=0, ddof=1) / np.sqrt(len(lags))
    middle = lags.mean(axis=0)

    def level(name: str, role: Any, value: float) -> Series:
        return Series(name=name, kind="line", role=role, x=x, y=np.full(len(x), value))

    other = sampling.shuffled - sampling.expected
    return Figure(
        name=file_name(TEXT.id, sampling.title),
        title=f"batches drawn {sampling.title}" if other else sampling.title,
        x_label="lag in batches, inside an epoch",
        y_label="correlation of the batch noise",
        series=(
            level("theory", "predicted", sampling.expected),
            level(f"rival: {TEXT.rivals[0]}", "rival", other),
            Series(
                name="measured (4 standard errors)",
                kind="interval",
                role="measured",
                x=x,
                y=middle,
                low=middle - error,
                high=middle + error,
            ),
        ),
        caption=(
            "Noise of two batches at the same weights, by their distance. Drawn with replacement they share "
            "nothing; inside a shuffled epoch what one batch has, the others lack."
        ),
    )


CLAIM = Claim(text=TEXT, plan=plan, judge=judge)
