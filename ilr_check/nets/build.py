"""From a spec to a module and its starting point; no global random state is read or written."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ilr_check.nets.norms import Norm
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, ResNetSpec
from ilr_check.seeds import derive

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "elu": functional.elu,
    "softplus": functional.softplus,
}


def build(
    spec: NetSpec, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
) -> nn.Module:
    """Return the net: ``module(x)`` maps rows [batch, inputs] to logits [batch, classes].

    Its parameters are those in front of norm layers and start as ``initial_parameters(spec, 0)``; the head is
    a buffer drawn from ``spec.head_seed``, the same for all runs and never trained.
    """
    module = _module(spec).to_empty(device=device).to(dtype)
    with torch.no_grad():
        module.get_buffer("head").copy_(_draw_head(spec, module.get_buffer("head").shape))
        for name, value in initial_parameters(spec, 0, dtype=dtype, device=device).items():
            module.get_parameter(name).copy_(value)
    return module


def initial_parameters(
    spec: NetSpec,
    seed: int,
    *,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """Draw weights and biases, normal with standard deviation ``scale / sqrt(fan_in)``, keyed by parameter
    name.

    Drawn on the CPU in float64 and then cast and moved, so that every dtype and device starts from the same
    numbers. Powers of two in ``scale`` scale the result exactly.
    """
    generator = stream("initial parameters", seed)
    shapes = parameter_shapes(spec)
    drawn = {}
    for name, shape in shapes.items():
        fan_in = math.prod(shapes[name.rpartition(".")[0] + ".weight"][1:])
        values = torch.randn(shape, generator=generator, dtype=torch.float64) / math.sqrt(fan_in)
        drawn[name] = (values * scale).to(device=device, dtype=dtype)
    return drawn


def parameter_shapes(spec: NetSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the trainable parameters by name, in the module's order."""
    return {name: tuple(value.shape) for name, value in _module(spec).named_parameters()}


def count_parameters(spec: NetSpec) -> int:
    """Return the number of trainable numbers; the head does not count."""
    return sum(math.prod(shape) for shape in parameter_shapes(spec).values())


def stream(purpose: str, seed: int) -> torch.Generator:
    """Return a CPU generator for one purpose, so that equal seeds for different purposes share no numbers."""
    return torch.Generator().manual_seed(derive(purpose, seed))


class Layer(nn.Module):
    """A linear map (``kernel`` 0) or a convolution that keeps the image size up to its stride."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 0, stride: int = 1, bias: bool) -> None:
        super().__init__()
        shape = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.empty(shape, device="meta"))
        self.bias = nn.Parameter(torch.empty(outputs, device="meta")) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inputs(, height, width)] to [batch, outputs(, height', width')]."""
        return self._map(x, self.weight, self.bias)

    def magnitude(self, x: Tensor) -> Tensor:
        """Return |W||x| + |b|, the terms of the map before they cancel: what its rounding is relative to."""
        bias = None if self.bias is None else self.bias.detach().abs()
        return self._map(x.detach().abs(), self.weight.detach().abs(), bias)

    def _map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.kernel:
            return functional.conv2d(x, weight, bias, stride=self.stride, padding=self.kernel // 2)
        return functional.linear(x, weight, bias)


class _Net(nn.Module):
    """What all nets share: reshaping of the rows, the activation, the fixed head."""

    head: Tensor
    writers: tuple[tuple[str, ...], ...]
    """For each norm layer, in order of execution, the names of the layers whose outputs it reads as a sum."""

    def __init__(self, spec: NetSpec, shape: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.spec = spec
        self.shape = shape
        self.activation = ACTIVATIONS[spec.activation]
        self.register_buffer("head", torch.empty(spec.classes, features, device="meta"))

    def body(self, h: Tensor) -> Tensor:
        """Map the reshaped input to the features in front of the head."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map rows [batch, inputs] to logits [batch, classes]."""
        h = self.body(x.reshape(x.shape[0], *self.shape))
        return functional.linear(h.flatten(1), self.head)


class _Plain(_Net):
    """layer -> norm -> activation, repeated: the MLP and the CNN."""

    def __init__(self, spec: MLPSpec | CNNSpec) -> None:
        if isinstance(spec, MLPSpec):
            sizes = (spec.inputs, *spec.widths)
            super().__init__(spec, (spec.inputs,), sizes[-1])
            kernel, strides = 0, (1,) * len(spec.widths)
        else:
            sizes = (spec.image[0], *spec.channels)
            kernel, strides = spec.kernel, spec.strides or (1,) * len(spec.channels)
            pixels = math.prod(shrunk(size, strides) for size in spec.image[1:])
            super().__init__(spec, spec.image, sizes[-1] * pixels)
        self.layers = nn.ModuleList(
            Layer(n, m, kernel=kernel, stride=stride, bias=spec.bias)
            for n, m, stride in zip(sizes[:-1], sizes[1:], strides, strict=True)
        )
        self.norms = nn.ModuleList(Norm(spec.norm) for _ in self.layers)
        self.writers = tuple((f"layers.{i}",) for i in range(len(self.layers)))

    def body(self, h: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = self.activation(norm(layer(h)))
        return h


class _Residual(_Net):
    """Blocks of two layers around a skip connection; see ``ResNetSpec`` for the two orders."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__(spec, spec.shape, spec.width * math.prod(spec.shape[1:]))
        kernel = spec.kernel if len(spec.shape) == 3 else 0
        self.stem = Layer(spec.shape[0], spec.width, kernel=kernel, bias=spec.bias)
        self.inner, self.outer = (
            nn.ModuleList(
                Layer(spec.width, spec.width, kernel=kernel, bias=spec.bias) for _ in range(spec.blocks)
            )
            for _ in range(2)
        )
        self.norms = nn.ModuleList(Norm(spec.norm) for _ in range(1 + 2 * spec.blocks))
        self.pre = spec.residual == "pre"
        reads: list[tuple[str, ...]] = [("stem",)]
        for i in range(spec.blocks):
            stream = reads[-1] if self.pre else ()
            reads += [(f"inner.{i}",), (*stream, f"outer.{i}")]
        self.writers = tuple(reads)

    def body(self, h: Tensor) -> Tensor:
        act, norms = self.activation, iter(self.norms)
        h = self.stem(h)
        if not self.pre:
            h = act(next(norms)(h))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            if self.pre:
                h = h + outer(act(next(norms)(inner(act(next(norms)(h))))))
            else:
                h = act(h + next(norms)(outer(act(next(norms)(inner(h))))))
        return act(next(norms)(h)) if self.pre else h


def shrunk(size: int, strides: tuple[int, ...]) -> int:
    """Return the height or width that is left of ``size`` after convolutions with these strides."""
    for stride in strides:
        size = -(-size // stride)
    return size


def _module(spec: NetSpec) -> nn.Module:
    """Return the net on the meta device: shapes, no numbers."""
    return _Residual(spec) if isinstance(spec, ResNetSpec) else _Plain(spec)


def _draw_head(spec: NetSpec, shape: torch.Size) -> Tensor:
    values = torch.randn(shape, generator=stream("head", spec.head_seed), dtype=torch.float64)
    return values * (spec.head_scale / math.sqrt(shape[1]))
