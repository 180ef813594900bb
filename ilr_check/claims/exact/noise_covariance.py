"""Sigma(cw) = Sigma(w) / c^2 and Sigma(w) w = 0: gradient noise is tangent and shrinks with the weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ilr_check.claims.exact.checks.derivatives import (
    Scaling,
    Tensors,
    gap,
    gradients,
    is_finite,
    out_of_range,
    scaled,
    scalings,
)
from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.evidence import ClaimText
from ilr_check.nets import build, net_groups, orthogonality_bounds
from ilr_check.seeds import derive
from ilr_check.theory.invariance import COVARIANCE_DEGREE
from ilr_check.theory.rounding import UNDERFLOW as SMALLEST
from ilr_check.theory.rounding import accumulated
from ilr_check.train.loop import DTYPES, Setting, Step, steps_of

TEXT = ClaimText(
    id="noise-covariance",
    title="Gradient noise is tangent and shrinks with the weights",
    statement=(
        "The covariance Sigma of the minibatch gradients of a scale-invariant group is divided by c^2 when "
        "the group is multiplied by c, bit for bit for powers of two. Sigma applied to the weights is 0."
    ),
    equation="Σ(c·w) = c⁻² Σ(w),  Σ(w) w = 0",
    source="Li, Lyu, Arora 2020, section 5: why the norm has no noise term in Theorem 5.1",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("exponent -1", "isotropic noise"),
    meaning=(
        "The noise has a part along the weights, or a scale of its own: noise was added to gradients or "
        "weights, the net is not scale-invariant in every minibatch, or the gradients of single examples "
        "are clipped."
    ),
    blind="whether minibatches are independent, and the shape of the noise along the sphere.",
)

BATCHES = 4
"""The number of minibatches whose gradients make up the covariance; two would be enough."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Centred gradients of one group, one row for each minibatch, in float64: Sigma = rows' rows /
    BATCHES."""

    rows: Tensor

    def covariance_on_batches(self) -> Tensor:
        """Return rows rows' / BATCHES, a small matrix with the same non-zero eigenvalues as Sigma."""
        return self.rows @ self.rows.T / BATCHES

    def applied(self, w: Tensor) -> Tensor:
        """Return Sigma w."""
        return self.rows.T @ (self.rows @ w) / BATCHES


def check(example: Scaling) -> Outcome:
    """Check the covariance at the last state of a training, at both scales, and applied to the weights."""
    setting, factors = example.setting, example.factors()
    module = build(setting.net, dtype=DTYPES[setting.dtype], device=setting.device)
    last = _last(setting)
    if last is None:
        return Worst().outcome(steps=0, events=events_of(setting))
    weights = scaled(last.before, factors)
    batches = _batches(setting)
    plain = [gradients(module, last.before, x, y) for x, y in batches]
    found = [gradients(module, weights, x, y) for x, y in batches]
    worst = Worst()
    if not is_finite(weights, *plain, *found):
        return worst.outcome(steps=0, events=events_of(setting))
    for (x, y), one, two in zip(batches, plain, found, strict=True):
        expected = scaled(one, factors, -1)
        differ = any(not torch.equal(expected[name], two[name]) for name in two)
        if differ and any(out_of_range(module, w, x, y, expected, two) for w in (last.before, weights)):
            return worst.outcome(steps=1, events=events_of(setting), skipped=UNDERFLOW)
    _tangent(module, setting, last, batches, plain, worst)
    for group in net_groups(setting.net):
        c = factors.get(group.names[0], 1.0)
        here, there = (_noise(tensors, group.names).covariance_on_batches() for tensors in (plain, found))
        worst.add(
            gap(here * c**COVARIANCE_DEGREE, there, "float64"), 1.0, group="+".join(group.names), step=last.t
        )
        if c != 1.0:
            worst.add_rival("exponent -1", gap(here / c, there, "float64"), 1.0)
    return worst.outcome(steps=1, events=events_of(setting))


def _tangent(
    module: nn.Module,
    setting: Setting,
    last: Step,
    batches: list[tuple[Tensor, Tensor]],
    plain: list[dict[str, Tensor]],
    worst: Worst,
) -> None:
    """Compare ||Sigma w|| with what rounding leaves of <g_k, w> in each minibatch k.

    Sigma w = sum_k d_k <d_k, w> / K with d_k = g_k - mean g. So ||Sigma w|| <= sum_k ||d_k|| (B_k + mean B) /
    K with the bounds B_k of gradient-orthogonality. Centring and the two sums in float64 add gamma_{n+K+8}
    times sum_k ||d_k|| (||g_k|| + mean ||g||) ||w|| / K, and an underflow adds one smallest number for each
    entry.
    """
    groups = net_groups(setting.net)
    bounds = [orthogonality_bounds(module, last.before, x, y, groups) for x, y in batches]
    for i, group in enumerate(groups):
        noise, w = _noise(plain, group.names), _flat(last.before, group.names)
        lengths = noise.rows.norm(dim=1)
        sizes = torch.stack([_flat(tensors, group.names).norm() for tensors in plain])
        inner = torch.tensor([found[i] for found in bounds], dtype=torch.float64)
        r, entries = float(w.norm()), len(w)
        rounding = accumulated(entries + BATCHES + 8, "float64") * (sizes + sizes.mean()) * r
        bound = float((lengths * (inner + inner.mean() + rounding)).mean())
        bound += entries * SMALLEST["float64"] * (1.0 + r + float(lengths.sum()))
        along = float(noise.applied(w).norm())
        worst.add(along, bound, group="+".join(group.names), step=last.t)
        # Isotropic noise of the same trace has Sigma w = trace / n w.
        trace = float(noise.rows.square().sum()) / BATCHES
        worst.add_rival("isotropic noise", trace / entries * r - along, bound)


def _last(setting: Setting) -> Step | None:
    """Return the last step of the training that starts at finite weights."""
    found = None
    for step in steps_of(setting):
        if not is_finite(step.before):
            break
        found = step
    return found


def _batches(setting: Setting) -> list[tuple[Tensor, Tensor]]:
    dataset = load(setting.data, dtype=DTYPES[setting.dtype], device=setting.device)
    order = Batches(
        examples=len(dataset),
        classes=dataset.classes,
        batch_size=setting.hyper.batch_size,
        label_noise=setting.data.label_noise,
        device=setting.device,
    )
    index, label = order.draw(order.generators([derive("covariance", setting.hyper.seed)]), BATCHES)
    return [
        (dataset.x[i], torch.where(fresh >= 0, fresh, dataset.y[i]))
        for i, fresh in zip(index[:, 0], label[:, 0], strict=True)
    ]


def _noise(found: list[dict[str, Tensor]], names: tuple[str, ...]) -> Noise:
    rows = torch.stack([_flat(tensors, names) for tensors in found])
    return Noise(rows - rows.mean(dim=0))


def _flat(tensors: Tensors, names: tuple[str, ...]) -> Tensor:
    return torch.cat([tensors[name].double().flatten() for name in names])


LAW = ExactLaw(
    text=TEXT,
    example_type=Scaling,
    examples=lambda: scalings(max_steps=5),
    check=check,
    real=lambda profile: (),
    quantity="|residual of the covariance| / rounding bound",
)
CLAIM = LAW.claim()
