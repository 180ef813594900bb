"""Builds a module and its initial parameters from a spec. It neither reads nor writes global random state.

The trained tensors are those that are scale-invariant, alone or jointly, in groups that share no tensor. So
scaling all of them by one factor changes nothing. Everything else is frozen at its initial random values, as
Li, Lyu, Arora 2020 freeze the last layer:

- the head.
- gains and shifts of the last norm, and of norms that write into a residual stream or feed an attention.
  Those of a hidden norm are trained if they are jointly invariant and in no other group: the activation is
  homogeneous, and the next layer has no bias. Even a bias that a norm removes would be summed with terms of
  another scale, and powers of two would no longer pass bit for bit.
- gains and biases of layers whose weights are normalised.
- V, which shares its scale with O, and Q and K without a norm of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ilr_check.nets.layers import Activation, Affine, Attend, Layer, Pool
from ilr_check.nets.norms import Norm
from ilr_check.nets.specs import (
    HOMOGENEOUS,
    AttentionSpec,
    ClassifierSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    PreResNetSpec,
    ResNetSpec,
)
from ilr_check.nets.streams import stream
from ilr_check.nets.transformer_specs import TransformerSpec
from ilr_check.nets.transformers import Transformer


def build(
    spec: NetSpec,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    free: bool = False,
) -> nn.Module:
    """Return the net: ``module(x)`` maps rows [batch, inputs] to logits [batch, classes].

    A language model maps tokens [batch, length] to logits [batch, length, vocabulary], and everything in it
    is trained. The parameters of any other net are the trained tensors (see the docstring of this module).
    They start as ``initial_parameters(spec, 0)``. Frozen tensors are buffers drawn from ``spec.head_seed``,
    the same for all runs. With ``free`` nothing is frozen, and the head is a parameter too. This serves to
    ask which tensors are invariant.
    """
    if isinstance(spec, TransformerSpec):
        return _language_model(spec, dtype, device)
    module = _module(spec, free=free).to_empty(device=device).to(dtype)
    trained = initial_parameters(spec, 0, dtype=dtype, device=device)
    with torch.no_grad():
        module.get_buffer("head").copy_(_draw_head(spec, module.get_buffer("head").shape))
        generator = stream("frozen", spec.head_seed)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name in trained:
                tensor.copy_(trained[name])
            elif name != "head":
                tensor.copy_(_draw(module, name, tensor.shape, generator))
    if free:
        head = nn.Parameter(module.get_buffer("head"))
        del module.head
        module.register_parameter("head", head)
    return module


def initial_parameters(
    spec: NetSpec,
    seed: int,
    *,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """Draw the trained tensors, keyed by parameter name.

    Those of a language model are as ``transformers`` says. In other nets, weights and biases are normal with
    standard deviation ``scale / sqrt(fan_in)``. Gains are ``scale`` times
    a normal around 1, and shifts around 0, with standard deviation 1/2. The numbers are drawn on the CPU in
    float64 and then cast and moved, so that every dtype and device starts from the same numbers. A power of
    two in ``scale`` scales the result exactly.
    """
    generator, module = stream("initial parameters", seed), _unfilled(spec)
    return {
        name: (_draw(module, name, value.shape, generator) * scale).to(device=device, dtype=dtype)
        for name, value in module.named_parameters()
    }


def parameter_shapes(spec: NetSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the trainable parameters by name, in the module's order."""
    return {name: tuple(value.shape) for name, value in _unfilled(spec).named_parameters()}


def count_parameters(spec: NetSpec) -> int:
    """Return the number of trainable numbers. Frozen tensors do not count."""
    return sum(math.prod(shape) for shape in parameter_shapes(spec).values())


class Read(NamedTuple):
    """The input of one norm layer: a sum of layers' outputs, or the weights of one layer."""

    norm: NormSpec
    calls: tuple[int, ...]
    """The executions of a layer, counted from 0, that give the terms of the sum."""
    affine: str = ""
    """The trained gain and shift that the one layer reads, or "" if there are none."""


class _Net(nn.Module):
    """The parts that all nets share: reshaping of rows, norms with their gains and shifts, and the fixed
    head."""

    head: Tensor
    calls: tuple[str, ...]
    """The name of the layer at each execution of one."""
    reads: tuple[Read, ...]
    """The input of each norm, in order of execution."""

    def __init__(
        self, spec: ClassifierSpec, shape: tuple[int, ...], features: int, channels: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.spec = spec
        self.shape = shape
        self.activation = Activation(spec.activation)
        norm = spec.norm
        active = () if norm.of_weights else channels
        self.norms = nn.ModuleList(Norm(norm) for _ in active)
        if norm.affine and active:
            self.affines = nn.ModuleList(Affine(n, shift=norm.centred) for n in channels)
        self.register_buffer("head", torch.empty(spec.classes, features, device="meta"))

    def body(self, h: Tensor) -> Tensor:
        """Map the reshaped input to the features in front of the head."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map rows [batch, inputs] to logits [batch, classes]."""
        h = self.body(x.reshape(x.shape[0], *self.shape))
        return functional.linear(h.flatten(1), self.head)

    def normed(self, number: int, x: Tensor) -> Tensor:
        """Apply norm layer ``number`` with its gain and shift, if activations are normalised at all."""
        if self.spec.norm.of_weights:
            return x
        y = self.norms[number](x)
        out: Tensor = self.affines[number](y) if hasattr(self, "affines") else y
        return out

    def reading(self, calls: tuple[int, ...], fed_by: int | None = None) -> Read:
        """Return the input of a norm. The gain and shift behind norm ``fed_by`` act on its one layer, if
        given."""
        norm, spec = self.spec.norm, self.spec
        alone = hasattr(self, "affines") and spec.activation in HOMOGENEOUS
        alone = alone and not spec.bias and fed_by is not None
        return Read(norm, calls, f"affines.{fed_by}" if alone else "")

    def freeze(self) -> None:
        """Turn every tensor that is not trained into a buffer."""
        kept = {f"{read.affine}.{leaf}" for read in self.reads for leaf in ("gain", "shift")}
        for read in self.reads:
            leaves = ("weight",) if read.norm.of_weights else ("weight", "bias")
            kept |= {f"{self.calls[call]}.{leaf}" for call in read.calls for leaf in leaves}
        for name, parameter in list(self.named_parameters()):
            if name not in kept:
                owner, _, leaf = name.rpartition(".")
                delattr(self.get_submodule(owner), leaf)
                self.get_submodule(owner).register_buffer(leaf, parameter.data)


class _Plain(_Net):
    """layer -> norm -> activation, repeated: the MLP and the CNN."""

    def __init__(self, spec: MLPSpec | CNNSpec) -> None:
        if isinstance(spec, MLPSpec):
            sizes = (spec.inputs, *spec.widths)
            super().__init__(spec, (spec.inputs,), sizes[-1], spec.widths)
            kernel, self.strides = 0, (1,) * len(spec.widths)
        else:
            sizes = (spec.image[0], *spec.channels)
            kernel, self.strides = spec.kernel, spec.strides or (1,) * len(spec.channels)
            pixels = math.prod(shrunk(size, self.strides) for size in spec.image[1:])
            super().__init__(spec, spec.image, sizes[-1] * pixels, spec.channels)
        layers = [
            Layer(n, m, spec.norm, kernel=kernel, bias=spec.bias)
            for n, m in list(pairwise(sizes))[: 2 if spec.shared else None]
        ]
        layers += layers[-1:] * (len(sizes) - 1 - len(layers))
        self.layers = nn.ModuleList(layers)
        self.calls = tuple(f"layers.{min(i, 1) if spec.shared else i}" for i in range(len(layers)))
        self.reads = tuple(self.reading((i,), i - 1 if i else None) for i in range(len(layers)))

    def body(self, h: Tensor) -> Tensor:
        for i, (layer, stride) in enumerate(zip(self.layers, self.strides, strict=True)):
            h = self.activation(self.normed(i, layer(h, stride)))
        return h


class _Residual(_Net):
    """Blocks of two layers around a skip connection; see ``ResNetSpec`` for the two orders."""

    def __init__(self, spec: ResNetSpec) -> None:
        features = spec.width * math.prod(spec.shape[1:])
        super().__init__(spec, spec.shape, features, (spec.width,) * (1 + 2 * spec.blocks))
        kernel = spec.kernel if len(spec.shape) == 3 else 0
        self.stem = Layer(spec.shape[0], spec.width, spec.norm, kernel=kernel, bias=spec.bias)
        self.inner, self.outer = (
            nn.ModuleList(
                _blocks(spec, lambda: Layer(spec.width, spec.width, spec.norm, kernel=kernel, bias=spec.bias))
            )
            for _ in range(2)
        )
        self.pre = spec.residual == "pre"
        numbers = [0 if spec.shared else i for i in range(spec.blocks)]
        self.calls = ("stem", *(f"{layer}.{i}" for i in numbers for layer in ("inner", "outer")))
        summed = self.pre and not spec.norm.of_weights
        reads, stream = [self.reading((0,))], [0]
        for i in range(1, 2 * spec.blocks, 2):
            stream.append(i + 1)
            reads.append(self.reading((i,), i - 1 if self.pre else None))
            terms = tuple(stream) if summed else (i + 1,)
            reads.append(self.reading(terms, None if self.pre else i))
        self.reads = tuple(reads)

    def body(self, h: Tensor) -> Tensor:
        act = self.activation
        h = self.stem(h)
        if not self.pre:
            h = act(self.normed(0, h))
        for i, (inner, outer) in enumerate(zip(self.inner, self.outer, strict=True)):
            if self.pre:
                h = h + outer(act(self.normed(2 * i + 1, inner(act(self.normed(2 * i, h))))))
            else:
                h = act(h + self.normed(2 * i + 2, outer(act(self.normed(2 * i + 1, inner(h))))))
        return act(self.normed(len(self.norms) - 1, h)) if self.pre else h


class _Staged(_Net):
    """Residual blocks in stages. The first block of each stage has a norm and a 1x1 layer on its skip."""

    def __init__(self, spec: PreResNetSpec) -> None:
        channels = [spec.widths[0]]
        places: list[tuple[int, int, int]] = []
        for stage, width in enumerate(spec.widths):
            for block in range(spec.blocks):
                places.append((channels[-1], width, stage if block == 0 else -1))
                channels += [width, width]
        # Both paths of a block read the same norm. Without gains, two norms would be identical.
        super().__init__(spec, spec.image, spec.widths[-1], tuple(channels))

        def layer(n: int, m: int, kernel: int = spec.kernel) -> Layer:
            return Layer(n, m, spec.norm, kernel=kernel, bias=False)

        self.stem = layer(spec.image[0], spec.widths[0])
        self.inner = nn.ModuleList(layer(n, m) for n, m, _ in places)
        self.outer = nn.ModuleList(layer(m, m) for _, m, _ in places)
        self.skip = nn.ModuleList(layer(n, m, 1) for n, m, stage in places if stage >= 0)
        self.pool = Pool()
        self.begins = tuple((stage, 1 if stage < 0 else spec.strides[stage]) for _, _, stage in places)
        """For each block, the stage that it begins (or -1) and its stride."""
        calls, reads = ["stem"], [self.reading((0,))]
        stream: list[int] = []
        for i, (stage, _) in enumerate(self.begins):
            if stage >= 0:
                stream = [len(calls)]
                calls.append(f"skip.{stage}")
            calls += [f"inner.{i}", f"outer.{i}"]
            stream.append(len(calls) - 1)
            reads += [self.reading((len(calls) - 2,)), self.reading(tuple(stream))]
        self.calls, self.reads = tuple(calls), tuple(reads)

    def body(self, h: Tensor) -> Tensor:
        h = self.stem(h)
        for i, (stage, stride) in enumerate(self.begins):
            n = self.normed(2 * i, h)
            if stage >= 0:
                h = self.skip[stage](n, stride)
            n = self.normed(2 * i + 1, self.inner[i](self.activation(n), stride))
            h = h + self.outer[i](self.activation(n))
        pooled: Tensor = self.pool(self.normed(len(self.norms) - 1, h))
        return pooled


class _Attention(_Net):
    """Blocks of self-attention around a skip connection. Every other part treats each token as a row."""

    def __init__(self, spec: AttentionSpec) -> None:
        tokens, features = spec.shape
        super().__init__(spec, spec.shape, tokens * spec.width, (spec.width,) * (1 + spec.blocks))
        self.stem = Layer(features, spec.width, spec.norm, bias=spec.bias)
        self.q, self.k, self.v, self.o = (
            nn.ModuleList(_blocks(spec, lambda: Layer(spec.width, spec.width, spec.norm, bias=spec.bias)))
            for _ in range(4)
        )
        of_heads = NormSpec(kind="rms", groups=spec.heads, eps=spec.norm.eps)
        if spec.qk_norm:
            self.q_norms, self.k_norms = (
                nn.ModuleList(Norm(of_heads) for _ in range(spec.blocks)) for _ in range(2)
            )
        self.attend = Attend(tokens, spec.heads)
        numbers = [0 if spec.shared else i for i in range(spec.blocks)]
        self.calls = ("stem", *(f"{layer}.{i}" for i in numbers for layer in "qkvo"))
        reads, stream = [self.reading((0,))], [0]
        for i in range(1, 4 * spec.blocks, 4):
            stream.append(i + 3)
            reads += [Read(of_heads, (i,)), Read(of_heads, (i + 1,))] if spec.qk_norm else []
            reads.append(self.reading(tuple(stream)))
        self.reads = tuple(reads)

    def body(self, h: Tensor) -> Tensor:
        rows = h.shape[0]
        h = self.stem(h.flatten(0, 1))
        for i in range(len(self.o)):
            n = self.normed(i, h)
            q, k = self.q[i](n), self.k[i](n)
            if hasattr(self, "q_norms"):
                q, k = self.q_norms[i](q), self.k_norms[i](k)
            h = h + self.o[i](self.attend(q, k, self.v[i](n)))
        features: Tensor = self.activation(self.normed(len(self.o), h))
        return features.reshape(rows, -1)


def shrunk(size: int, strides: tuple[int, ...]) -> int:
    """Return the height or width that remains of ``size`` after convolutions with these strides."""
    for stride in strides:
        size = -(-size // stride)
    return size


def _blocks(spec: ResNetSpec | AttentionSpec, layer: Callable[[], Layer]) -> list[Layer]:
    """Return one layer per block, the same one for all blocks if it is shared."""
    return [layer()] * spec.blocks if spec.shared else [layer() for _ in range(spec.blocks)]


def skeleton(spec: ClassifierSpec) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Read, ...]]:
    """Return the names of the trained tensors, the layer of each execution, and the input of each norm."""
    net = _module(spec)
    return tuple(name for name, _ in net.named_parameters()), net.calls, net.reads


def _module(spec: ClassifierSpec, *, free: bool = False) -> _Net:
    """Return the net on the meta device, with shapes and no numbers."""
    net: _Net
    if isinstance(spec, ResNetSpec):
        net = _Residual(spec)
    elif isinstance(spec, PreResNetSpec):
        net = _Staged(spec)
    elif isinstance(spec, AttentionSpec):
        net = _Attention(spec)
    else:
        net = _Plain(spec)
    if not free:
        net.freeze()
    return net


def _unfilled(spec: NetSpec) -> nn.Module:
    return Transformer(spec) if isinstance(spec, TransformerSpec) else _module(spec)


def _language_model(spec: TransformerSpec, dtype: torch.dtype, device: torch.device | str) -> Transformer:
    module = Transformer(spec).to_empty(device=device).to(dtype)
    with torch.no_grad():
        module.fill_tables()
    module.load_state_dict(initial_parameters(spec, 0, dtype=dtype, device=device))
    return module


def _draw(module: nn.Module, name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if isinstance(module, Transformer):
        return module.drawn(name, generator)
    owner, _, leaf = name.rpartition(".")
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if leaf in ("gain", "shift"):
        return (1.0 if leaf == "gain" else 0.0) + values / 2.0
    layer = module.get_submodule(owner)
    assert isinstance(layer, Layer)
    return values / math.sqrt(layer.fan_in)


def _draw_head(spec: ClassifierSpec, shape: torch.Size) -> Tensor:
    values = torch.randn(shape, generator=stream("head", spec.head_seed), dtype=torch.float64)
    return values * (spec.head_scale / math.sqrt(shape[1]))
