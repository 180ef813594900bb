"""The noise of successive batches is independent if they are drawn with replacement, and else it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, vmap

from ilr_check.claims.claim import Profile
from ilr_check.claims.figures import interval, line
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mistakes import mistake
from ilr_check.data import DataSpec, DigitsSpec
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.evidence import ClaimText, Figure
from ilr_check.nets import build
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.seeds import derive
from ilr_check.stats import CurveEquivalence, Rival
from ilr_check.train.noise import Weights
from ilr_check.train.world import Visit

Array = NDArray[np.float64]
Order = Literal["with replacement", "shuffled epochs"]
ORDERS: tuple[Order, ...] = ("with replacement", "shuffled epochs")

TEXT = ClaimText(
    id="noise-independence",
    title="Batches drawn with replacement have uncorrelated noise",
    statement=(
        "At fixed weights the gradient noise of two minibatches is uncorrelated if batches are drawn "
        "with replacement. In an epoch of N examples that is shuffled once and cut into batches of B, the "
        "noise of two batches has the correlation -1/(N/B - 1), because no example comes twice."
    ),
    equation="corr(n_t, n_t+k) = 0,  or −1/(N/B − 1) inside an epoch",
    source="the assumption behind Li, Lyu, Arora 2020, Theorem 5.1; asked by reviewer 4",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("correlation of the other way to draw",),
    meaning=(
        "Batches are not drawn as stated. Examples are an order that is used again, a sampler that shuffles "
        "within buckets, and batches that overlap."
    ),
    blind="how large the noise is, and a correlation across more batches than an epoch has.",
)

TOLERANCE = 0.03
"""The tolerance in the correlation. The two ways to draw are 1/7 apart."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How batches are drawn at fixed random weights of a net without batch norm.

    There the gradient of a batch is the mean over its examples. Under batch norm the gradient of an example
    depends on its batch.
    """

    title: str
    order: Order
    data: DataSpec
    net: MLPSpec
    examples: int = 256
    batch_size: int = 32
    epochs: int = 40
    planned_sd: float | None = 0.03
    looks: tuple[int, ...] = (48, 96)

    @property
    def batches(self) -> int:
        """The number of batches in an epoch."""
        return self.examples // self.batch_size

    @property
    def expected(self) -> float:
        """The correlation of neighbouring batches inside an epoch."""
        return 0.0 if self.order == "with replacement" else self.shuffled

    @property
    def shuffled(self) -> float:
        """-1/(N/B - 1), because the noise of the batches of an epoch adds up to 0."""
        return -1.0 / (self.batches - 1)


def experiments(profile: Profile, seed: int) -> list[Sampling]:
    """Return both ways to draw, in a LayerNorm net; beyond ``quick`` also in a GroupNorm net."""
    net = MLPSpec(inputs=64, widths=(24,), classes=10, norm=NormSpec(kind="layer"))
    samplings = [Sampling(title=order, order=order, data=DigitsSpec(), net=net) for order in ORDERS]
    if profile != "quick":
        other = msgspec.structs.replace(net, widths=(24, 24), norm=NormSpec(kind="group", groups=4))
        samplings += [
            msgspec.structs.replace(s, title=f"{s.title}, GroupNorm, batch 16", net=other, batch_size=16)
            for s in samplings
        ]
    return samplings


def drawn(sampling: Sampling, seed: int) -> NDArray[np.intp]:
    """Return the examples of every batch, [epochs, batches an epoch, batch size]."""
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


class NoiseRuns:
    """Independent nets, each with its own batches; nothing is trained."""

    def __init__(self, sampling: Sampling, lab: Lab) -> None:
        self.sampling, self._lab = sampling, lab
        self._found: list[Array] = []

    def correlations(self, n: int) -> Array:
        """Return the correlation of the noise of two batches by their distance, [n, batches an epoch - 1]."""
        have = len(self._found)
        if n > have:
            seeds = [derive(self._lab.seed, "sampling", i) for i in range(have, n)]
            visit = self._lab.visit(len(seeds), only=frozenset({"batch", "gradient"}))
            index = [drawn(self.sampling, seed) for seed in seeds]
            each = (
                self._plain(seeds, index) if visit is None else self._visited(seeds, np.stack(index), visit)
            )
            for noise in each:
                self._found.append(self._lags(noise))
                self._lab.context.progress(min(1.0, len(self._found) / n))
        return np.stack(self._found[:n])

    def _plain(self, seeds: Sequence[int], index: Sequence[NDArray[np.intp]]) -> Iterator[Array]:
        """Yield the noise of every batch of each run, [epochs, batches an epoch, parameters]."""
        for seed, rows in zip(seeds, index, strict=True):
            noise = _flat(_example_gradients(self.sampling, seed)[1])
            yield (noise - noise.mean(axis=0))[rows].mean(axis=2)

    def _visited(self, seeds: Sequence[int], index: NDArray[np.intp], visit: Visit) -> Iterator[Array]:
        """Yield the same in a world, which may change batches and gradients.

        There the mean gradient is not known, and the mean over all batches stands in for it.
        """
        shape = index.shape
        each = [_example_gradients(self.sampling, seed) for seed in seeds]
        weights, examples = (
            {name: torch.stack([one[of][name] for one in each]) for name in each[0][of]} for of in (0, 1)
        )
        planned = torch.from_numpy(index).flatten(1, 2)
        kept, lanes = torch.full_like(planned[:, 0], -1), torch.arange(len(seeds))[:, None]
        steps = []
        for step in range(planned.shape[1]):
            rows, _ = visit.batch(planned[:, step], kept, step)
            means = {name: g[lanes, rows].mean(dim=1) for name, g in examples.items()}
            changed = {name: visit.gradient(name, g, weights[name], step) for name, g in means.items()}
            steps.append(_flat(changed))
        noise = np.stack(steps, axis=1)
        noise -= noise.mean(axis=1, keepdims=True)
        yield from noise.reshape(*shape[:3], -1)

    def _lags(self, noise: Array) -> Array:
        products = np.einsum("eid,ejd->eij", noise, noise).mean(axis=0)
        size = float(np.diag(products).mean())
        lags = range(1, self.sampling.batches)
        return np.array([np.diag(products, lag).mean() / size for lag in lags])


def _example_gradients(sampling: Sampling, seed: int) -> tuple[Weights, Weights]:
    """Return random weights and there the gradient of every example, [examples, ...], by tensor."""
    dataset = load(sampling.data)
    x, y = dataset.x[: sampling.examples], dataset.y[: sampling.examples]
    module = build(sampling.net)
    weights = initial_parameters(sampling.net, seed)

    def loss(parameters: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = functional_call(module, parameters, (one[None],))
        return torch.nn.functional.cross_entropy(logits, label[None])

    return weights, vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, y)


def _flat(gradients: Weights) -> Array:
    return np.asarray(torch.cat([g.flatten(1) for g in gradients.values()], dim=1).numpy())


def design(sampling: Sampling, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for the correlations, against those of the stated way to draw."""
    other = sampling.shuffled - 2.0 * sampling.expected
    return CurveEquivalence(
        estimand="correlation of the noise of two batches, less the stated one, at every distance",
        points=sampling.batches - 1,
        margin=(-TOLERANCE, TOLERANCE),
        margin_reason=f"tolerance {TOLERANCE}; the mean gradient is known exactly, so nothing is left out",
        rivals=(Rival(name=TEXT.rivals[0], expected=(other,) * (sampling.batches - 1)),),
        looks=sampling.looks,
        false_fail=alpha,
        sd=sampling.planned_sd,
    )


def _mixed(sampling: Sampling, share: float) -> tuple[float, ...]:
    """Return the deviation if this share of the pairs of batches is drawn in the other way."""
    return (share * (sampling.shuffled - 2.0 * sampling.expected),) * (sampling.batches - 1)


def _figure(seen: Examined[Sampling, NoiseRuns]) -> Figure:
    sampling, lags = seen.spec, seen.runs.correlations(seen.n)
    x = np.arange(1.0, sampling.batches)
    error = 4.0 * lags.std(axis=0, ddof=1) / np.sqrt(len(lags))
    middle, other = lags.mean(axis=0), sampling.shuffled - sampling.expected
    return Figure(
        name="",
        title=f"batches drawn {sampling.title}" if other else sampling.title,
        x_label="distance in batches, inside an epoch",
        y_label="correlation of the batch noise",
        series=(
            line("theory", "predicted", x, np.full(len(x), sampling.expected)),
            line(f"rival: {TEXT.rivals[0]}", "rival", x, np.full(len(x), other)),
            interval("measured (4 standard errors)", x, middle, middle - error, middle + error),
        ),
        caption=(
            "Noise of two batches at the same weights, by their distance. If they are drawn with "
            "replacement, they are independent. Inside a shuffled epoch they have no example in common."
        ),
    )


LAW = StatisticalLaw(
    text=TEXT,
    spec=Sampling,
    experiments=experiments,
    run_steps=lambda sampling: sampling.looks[0] * sampling.epochs * sampling.batches,
    trained=NoiseRuns,
    parts=lambda sampling: (Part(sampling.title, figure="by distance"),),
    form="prediction",
    design=design,
    mistakes=lambda sampling, part: (
        mistake("{} of the steps are drawn in the other way", lambda share: _mixed(sampling, share)),
    ),
    sample=lambda runs, part, n: runs.correlations(n) - runs.sampling.expected,
    steps=lambda sampling, part: sampling.epochs * sampling.batches,
    figure=_figure,
)
CLAIM = LAW.claim()
