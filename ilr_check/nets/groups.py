"""Finds the invariant groups of any module. It probes the module's function and does not use parameter
names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal, cast

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from ilr_check.nets.build import Read, build, shrunk, skeleton
from ilr_check.nets.joint import candidates
from ilr_check.nets.probing import Batches, Parameters, Probe, Sample
from ilr_check.nets.specs import (
    AttentionSpec,
    ClassifierSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    PreResNetSpec,
    ResNetSpec,
)
from ilr_check.nets.streams import stream
from ilr_check.nets.transformer_specs import TransformerSpec
from ilr_check.nets.transformers import invariant_matrices, stream_writers

GroupKind = Literal["exact", "up to eps", "joint", "dead", "not invariant"]

SMALL_COSINE = 0.1
"""Above this cosine, eps dominates the variance, and it would mislead to call the tensor invariant."""
EPS_PROBE = ((1, 4, 0.5), (4, 16, 0.1))
"""Pairs of scales of the weights, and how far <g, w> may deviate from falling by their ratio squared.

eps breaks the invariance by <g, w> = -2 eps dL/d(eps). This is proportional to 1/s^2 once eps is small
against the variance. The relative correction is eps / (s^2 var), so the limit is wider at s = 1. The product
of other tensors also falls when they are scaled up, but in another way. A tensor that writes into a residual
stream comes to dominate the stream, and its product falls by 1/s. A tensor in front of a softmax saturates
it, and its product falls exponentially.
"""
POWERS = (1, -3, -10, 10)
"""Scales of the bitwise test, as powers of two. The extreme ones reveal a small bias beside the weight."""
ROUNDING = 2.0**10
"""A cosine up to this many u counts as zero. Rounding is a few u, and three digits are left for
conditioning."""
DIRECTIONS = 4
"""The number of random directions of the outputs per point when rows for the null space are collected."""
TOLERANCES = (1e-7, 1e-5, 1e-3)
"""Singular values that count as zero, tried one after the other, when an eps blurs the null space."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Tensors that can be scaled together without changing the outputs (or cannot, if ``kind`` says so).

    The kinds are:

    - ``exact``: a single tensor, bit for bit under powers of two, with dead tensors set to zero.
    - ``joint``: several tensors, only together, tensor i by s**exponents[i]. Joint groups may share tensors,
      as two layers with biases in front of one norm do.
    - ``up to eps``: one tensor or several, only as far as the eps of a norm layer is small.
    - ``dead``: a tensor that the outputs do not depend on.
    - ``not invariant``: a single tensor.

    ``size`` is the largest violation seen, the cosine |<g, w>| / (|g||w|) over the group. For exact and joint
    groups, where g itself may be rounding, it is the smaller of this and |<g, w>| / (|v||outputs|) for a
    random direction v of the outputs. For dead tensors it is the relative change of the outputs when the
    tensor is replaced.
    """

    names: tuple[str, ...]
    kind: GroupKind
    size: float
    exponents: tuple[int, ...]

    @property
    def invariant(self) -> bool:
        """Whether uniform scaling of the group does not change the function, so that <g, w> = 0 over it."""
        return self.kind != "not invariant" and len(set(self.exponents)) == 1


def invariant_groups(
    module: nn.Module,
    batches: Batches,
    *,
    points: int = 3,
    seed: int = 0,
    dtype: torch.dtype | None = torch.float64,
    proposals: Iterable[Iterable[str]] = (),
) -> tuple[Group, ...]:
    """Return the invariant groups of a module's trainable tensors, in the order of its parameters.

    A batch is a tensor, a tuple whose first entry is the input, or a mapping of keyword arguments.
    ``batches`` is a list of batches or a function that returns one. ``points`` random points near the
    module's own point are probed. ``proposals`` are groups of names to try first.

    A tensor is exact if no bit of the outputs changes under powers of two from 2^-10 to 2^10, and <g, w>
    (zero by Euler's theorem) is rounding. Insensitivity is not invariance: at the default initialisation a
    doubled tensor often changes the loss by less than 1e-3, so a small change proves nothing here. Joint
    groups come from the null space of the <g_i, w_i> and are confirmed by scaling the group.

    The module is used in its own mode and is not changed. In eval mode a BatchNorm divides by stored
    statistics, and nothing in front of it is scale-invariant: call ``module.train()`` first. With batches of
    fewer than four rows, gradients under batch norm are pure rounding. Raises ``ValueError`` if the outputs
    are not finite.
    """
    probe = Probe(module, batches, dtype=dtype, seed=seed)
    unit = probe.unit()
    base = _base(probe, probe.points(points))
    if not all(bool(out.isfinite().all()) for _, _, out in base.points):
        raise ValueError("the outputs are not finite at a random point near the module's parameters")
    changes = {name: _change_when_replaced(probe, name, base) for name in probe.names}
    base = _without_dead(probe, base, [n for n, change in changes.items() if change <= unit**0.5])
    groups: dict[str, Group] = {}
    for name, change in changes.items():
        if change <= unit**0.5:
            groups[name] = Group(names=(name,), kind="dead", size=change, exponents=(1,))
        else:
            groups[name] = _judged(probe, {name: 1}, base, unit)
    return _with_joint(probe, groups, base, unit, proposals)


def net_groups(spec: NetSpec) -> tuple[Group, ...]:
    """Return the invariant groups of the trained tensors of a net from ``build``, in their order. The result
    is cached.

    The groups follow from the construction. The layers whose outputs a norm reads as a sum have one scale, so
    they are one group. Their biases belong to it unless the norm subtracts the mean of each channel. A
    trained gain and its shift are a group. The tests show for generated nets that blind probing finds the
    same groups. With an eps the sizes matter too, so a net with the same layers and generic sizes is probed:
    in a net with sets of two, for example, every gradient is rounding, and probing could not tell anything.

    A language model with generic sizes is always probed. Its groups include those that are not invariant, and
    joint groups that share tensors.
    """
    if isinstance(spec, TransformerSpec):
        return _probed_language_model(_small(spec))
    return _constructed(spec) if spec.norm.eps == 0 else _probed(_sibling(spec))


@lru_cache(maxsize=4096)
def _constructed(spec: ClassifierSpec) -> tuple[Group, ...]:
    names, calls, reads = skeleton(spec)
    tied: list[set[str]] = []
    for read in reads:
        members = {calls[call] for call in read.calls}
        overlapping = [layers for layers in tied if layers & members]
        tied = [layers for layers in tied if not layers & members] + [members.union(*overlapping)]
    counts = {calls[call] for read in reads if not read.norm.kills_bias for call in read.calls}
    order = {name: i for i, name in enumerate(names)}
    dead = [n for n in names if n.endswith(".bias") and n.rpartition(".")[0] not in counts]
    dead += [f"{read.affine}.shift" for read in reads if read.affine and _subtracts_shift(spec, read)]
    grouped = [[n for n in names if n.rpartition(".")[0] in layers and n not in dead] for layers in tied]
    affines = [read.affine for read in reads if read.affine]
    grouped += [[n for n in names if n.rpartition(".")[0] == own and n not in dead] for own in affines]
    groups = [Group(names=(n,), kind="dead", size=0.0, exponents=(1,)) for n in dead]
    for group in grouped:
        kind: GroupKind = "exact" if len(group) == 1 else "joint"
        groups.append(Group(names=tuple(group), kind=kind, size=0.0, exponents=(1,) * len(group)))
    return tuple(sorted(groups, key=lambda group: [order[n] for n in group.names]))


def _subtracts_shift(spec: ClassifierSpec, read: Read) -> bool:
    """Return whether a norm subtracts again what the shift of the norm before it has added.

    Without an activation between the norms the shift adds a constant to each channel. A linear layer hands it
    on as a constant, and so does a convolution that reads no padding or has a single pixel as output.
    """
    if isinstance(spec, CNNSpec):
        strides = (spec.strides or (1,) * len(spec.channels))[: read.calls[0] + 1]
        constant = spec.kernel == 1 or all(shrunk(size, strides) == 1 for size in spec.image[1:])
    elif isinstance(spec, ResNetSpec):
        constant = all(size == 1 for size in spec.shape[1:])
    else:
        constant = isinstance(spec, MLPSpec)
    return constant and read.norm.kills_bias and getattr(spec, "activation", "") == "identity"


def scalable(spec: NetSpec) -> tuple[tuple[str, ...], ...]:
    """Return the sets of trained tensors that may each have a factor of their own without any rounding.

    They are the invariant groups, each with the biases of its layers that have no effect. Such a bias is
    summed with the other terms of the layer before it is subtracted again, so a factor of its own would
    change the rounding.
    """
    if isinstance(spec, TransformerSpec):
        return (*((name,) for name in invariant_matrices(spec)), *_writers(spec))
    exact = msgspec.structs.replace(spec, norm=msgspec.structs.replace(spec.norm, eps=0.0))
    groups = _constructed(exact)
    dead = [name for group in groups if group.kind == "dead" for name in group.names]

    def with_dead(names: tuple[str, ...]) -> tuple[str, ...]:
        owners = {name.rpartition(".")[0] for name in names}
        return names + tuple(name for name in dead if name.rpartition(".")[0] in owners)

    return tuple(with_dead(group.names) for group in groups if group.kind != "dead")


@lru_cache(maxsize=4096)
def _probed(spec: ClassifierSpec) -> tuple[Group, ...]:
    exact = msgspec.structs.replace(spec, norm=msgspec.structs.replace(spec.norm, eps=0.0))
    rows = torch.randn(16, spec.inputs, generator=stream("probing rows", 0), dtype=torch.float64)
    return invariant_groups(build(spec), [rows], proposals=[g.names for g in _constructed(exact)])


def _sibling(spec: ClassifierSpec) -> ClassifierSpec:
    """Return the net with the same layers in which no normalisation set and no fan-in is small."""
    width, replace = 8 * spec.norm.groups, msgspec.structs.replace
    spec = replace(spec, classes=4, head_seed=0, head_scale=1.0)
    if isinstance(spec, MLPSpec):
        return replace(spec, inputs=5, widths=(width,) * len(spec.widths))
    if isinstance(spec, CNNSpec):
        channels = (width,) * len(spec.channels)
        return replace(spec, image=(2, 3, 3), channels=channels, kernel=3, strides=())
    if isinstance(spec, PreResNetSpec):
        # Two pixels per side remain behind the last stage.
        side = 2 ** len(spec.widths)
        return replace(spec, image=(2, side, side), widths=(width,) * len(spec.widths), kernel=3)
    if isinstance(spec, AttentionSpec):
        return replace(spec, shape=(3, 5), width=width * spec.heads)
    shape = (5,) if len(spec.shape) == 1 else (2, 3, 3)
    return replace(spec, shape=shape, width=width, kernel=3)


@lru_cache(maxsize=64)
def _probed_language_model(spec: TransformerSpec) -> tuple[Group, ...]:
    generator = stream("probing rows", 0)
    rows = [torch.randint(spec.vocabulary, (4, spec.context), generator=generator) for _ in range(3)]
    return invariant_groups(build(spec), rows, proposals=_writers(spec))


def _writers(spec: TransformerSpec) -> tuple[tuple[str, ...], ...]:
    return tuple(names for names in (stream_writers(spec),) if names)


def _small(spec: TransformerSpec) -> TransformerSpec:
    """Return the language model with the same blocks and norms, in a small size."""
    return msgspec.structs.replace(
        spec, context=6, width=16, heads=4, kv_heads=2, head_dim=6, mlp_width=20, vocabulary=11
    )


class Base(msgspec.Struct, frozen=True, eq=False):
    """The probed points, each with its batch and outputs, and the gradient products at these points."""

    points: list[tuple[Parameters, object, Tensor]]
    samples: list[Sample]


def _base(probe: Probe, points: Iterable[tuple[Parameters, object]]) -> Base:
    pairs = list(points)
    samples = [s for parameters, batch in pairs for s in probe.samples(parameters, batch, directions=2)]
    return Base([(parameters, batch, _run(probe, parameters, batch)) for parameters, batch in pairs], samples)


def _run(probe: Probe, parameters: Parameters, batch: object) -> Tensor:
    with torch.no_grad():
        return probe.outputs(parameters, batch)


def _scaled(parameters: Parameters, exponents: Mapping[str, int], power: int) -> Parameters:
    """Return the parameters with each named tensor multiplied by 2 ** (power * exponent)."""
    return parameters | {n: parameters[n] * 2.0 ** (power * e) for n, e in exponents.items()}


def _bitwise(probe: Probe, exponents: Mapping[str, int], base: Base) -> bool:
    return all(
        torch.equal(_run(probe, _scaled(parameters, exponents, power), batch), out)
        for parameters, batch, out in base.points
        for power in POWERS
    )


def _change_when_replaced(probe: Probe, name: str, base: Base) -> float:
    """Return the largest relative change of the outputs when the tensor is replaced by random values."""
    worst = 0.0
    for parameters, batch, out in base.points:
        other = _run(probe, parameters | {name: probe.noise(parameters[name])}, batch)
        worst = max(worst, float((other - out).norm() / out.norm().clamp_min(1e-300)))
    return worst


def _without_dead(probe: Probe, base: Base, dead: list[str]) -> Base:
    """Return the points with dead tensors set to zero.

    A bias in front of batch norm changes the outputs only by rounding, but that rounding would hide the
    bitwise invariance of the weight beside it.
    """
    if not dead:
        return base
    return _base(probe, [(p | {n: torch.zeros_like(p[n]) for n in dead}, b) for p, b, _ in base.points])


def _falls(probe: Probe, exponents: Mapping[str, int], base: Base, unit: float) -> bool:
    """Return whether <g, w> falls with growing weights in the way that an eps causes; see EPS_PROBE."""
    for small, large, limit in EPS_PROBE:
        (before, size, _), (after, _, _) = (
            _products(probe, exponents, base, int(np.log2(scale))) for scale in (small, large)
        )
        excess = (before - (large / small) ** 2 * after).norm()
        if float(excess) > limit * float(before.norm()) + ROUNDING * unit * float(size.norm()):
            return False
    return True


def _products(
    probe: Probe, exponents: Mapping[str, int], base: Base, power: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum c_i <g_i, w_i>, sum c_i |g_i||w_i| and |v||outputs| with weights scaled by 2**(power
    c_i)."""
    weights = torch.tensor([float(exponents.get(n, 0)) for n in probe.names], dtype=torch.float64)
    samples = base.samples
    if power:
        scaled = [(_scaled(p, exponents, power), b) for p, b, _ in base.points]
        samples = [s for p, b in scaled for s in probe.samples(p, b, directions=2)]
    rows = [((weights * s.products).sum(), (weights * s.norms).sum(), torch.tensor(s.scale)) for s in samples]
    product, norm, scale = (torch.stack(column) for column in zip(*rows, strict=True))
    return product, norm, scale


def _judged(probe: Probe, exponents: Mapping[str, int], base: Base, unit: float) -> Group:
    """Return the group with the kind and the size that finite scaling and <g, w> show."""
    product, norm, scale = _products(probe, exponents, base, 0)
    cosines = product.abs() / norm.clamp_min(1e-300)
    rounding = float(torch.minimum(cosines, product.abs() / scale).max())
    size, kind = float(cosines.max()), "not invariant"
    if rounding <= unit**0.5 and _bitwise(probe, exponents, base):
        size, kind = rounding, "exact" if len(exponents) == 1 else "joint"
    elif size <= SMALL_COSINE and _falls(probe, exponents, base, unit):
        kind = "up to eps"
    return Group(
        names=tuple(exponents),
        kind=cast(GroupKind, kind),
        size=size,
        exponents=tuple(exponents.values()),
    )


def _with_joint(
    probe: Probe, groups: dict[str, Group], base: Base, unit: float, proposals: Iterable[Iterable[str]]
) -> tuple[Group, ...]:
    """Return all groups, and merge tensors that are not invariant alone where they are invariant together."""
    rest = [n for n, g in groups.items() if g.kind == "not invariant"]
    joint: dict[frozenset[str], Group] = {}

    def try_out(exponents: Mapping[str, int]) -> None:
        names = frozenset(exponents)
        if len(names) > 1 and names not in joint:
            group = _judged(probe, exponents, base, unit)
            if group.kind != "not invariant":
                joint[names] = group

    for names in proposals:
        left = [n for n in names if n in rest]
        if not any(set(left) <= found for found in joint):
            try_out(dict.fromkeys(left, 1))
    open_names = set(rest) - {n for names in joint for n in names}
    if open_names and len(rest) > 1:
        columns = [probe.names.index(n) for n in rest]
        points = -(-(2 * len(rest) + 8) // DIRECTIONS)
        samples = [s for p, b in probe.points(points) for s in probe.samples(p, b, DIRECTIONS)]
        products = torch.stack([s.products for s in samples])[:, columns].numpy()
        norms = torch.stack([s.norms for s in samples])[:, columns].numpy()
        for tolerance in (2.0**20 * unit, *TOLERANCES):
            for exponents in candidates(products, norms, tolerance):
                try_out({n: e for n, e in zip(rest, exponents, strict=True) if e})
            if set(rest) == {n for names in joint for n in names}:
                break
    covered = {name for names in joint for name in names}
    found = [group for name, group in groups.items() if name not in covered] + list(joint.values())
    order = {name: i for i, name in enumerate(probe.names)}
    return tuple(sorted(found, key=lambda group: [order[n] for n in group.names]))
