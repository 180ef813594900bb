"""The parts of a net: layers, learned gains and shifts, activations and attention. They have shapes but no
numbers yet."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ilr_check.nets.norms import Norm
from ilr_check.nets.specs import NormSpec

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


class Layer(nn.Module):
    """A linear map (``kernel`` 0) or a convolution, which keeps the size of the image up to its stride.

    With a norm ``of_weights`` the map is gain * norm(weight) / sqrt(fan_in), row by row, so that each row has
    the length of its gain.
    """

    def __init__(self, inputs: int, outputs: int, norm: NormSpec, *, kernel: int = 0, bias: bool) -> None:
        super().__init__()
        shape = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
        self.kernel, self.fan_in = kernel, math.prod(shape[1:])
        self.weight = nn.Parameter(torch.empty(shape, device="meta"))
        self.bias = nn.Parameter(torch.empty(outputs, device="meta")) if bias else None
        self.norm = Norm(norm) if norm.of_weights else None
        gained = norm.of_weights and norm.affine
        self.gain = nn.Parameter(torch.empty(outputs, device="meta")) if gained else None

    def forward(self, x: Tensor, stride: int = 1) -> Tensor:
        """Map [batch, inputs(, height, width)] to [batch, outputs(, height', width')]."""
        weight = self.weight if self.norm is None else self._gained(self.norm(self.weight))
        return self._map(x, weight, self.bias, stride)

    def magnitude(self, x: Tensor, stride: int = 1) -> Tensor:
        """Return |W||x| + |b|, the terms of the map before they cancel. Its rounding is relative to them."""
        # This call avoids the hooks, because it is not an execution of the norm.
        weight = self.weight if self.norm is None else self._gained(self.norm.forward(self.weight))
        bias = None if self.bias is None else self.bias.detach().abs()
        return self._map(x.detach().abs(), weight.detach().abs(), bias, stride)

    def _gained(self, normed: Tensor) -> Tensor:
        weight: Tensor = normed * self.fan_in**-0.5
        return weight if self.gain is None else weight * self.gain.reshape(-1, *[1] * (weight.dim() - 1))

    def _map(self, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        if self.kernel:
            return functional.conv2d(x, weight, bias, stride=stride, padding=self.kernel // 2)
        return functional.linear(x, weight, bias)


class Affine(nn.Module):
    """A learned gain for each channel behind a norm, with a learned shift if ``shift`` is set."""

    def __init__(self, channels: int, *, shift: bool) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.empty(channels, device="meta"))
        self.shift = nn.Parameter(torch.empty(channels, device="meta")) if shift else None

    def forward(self, y: Tensor) -> Tensor:
        """Map ``y``, [batch, channels(, height, width)], channel by channel."""
        return self._map(y, self.gain, self.shift)

    def magnitude(self, y: Tensor) -> Tensor:
        """Return |gain||y| + |shift|."""
        shift = None if self.shift is None else self.shift.detach().abs()
        return self._map(y.detach().abs(), self.gain.detach().abs(), shift)

    def _map(self, y: Tensor, gain: Tensor, shift: Tensor | None) -> Tensor:
        each = (-1, *[1] * (y.dim() - 2))
        scaled = y * gain.reshape(each)
        return scaled if shift is None else scaled + shift.reshape(each)


class Activation(nn.Module):
    """An activation as a layer, so that hooks can find it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to every number."""
        return ACTIVATIONS[self.name](x)


class Pool(nn.Module):
    """The mean over all pixels of each channel, as a layer, so that hooks can find it."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to [batch, channels]."""
        return x.mean(dim=(2, 3))


class Attend(nn.Module):
    """Compute softmax(q k' / sqrt(d)) v in each of several heads of d features, over the tokens of each
    sample."""

    def __init__(self, tokens: int, heads: int) -> None:
        super().__init__()
        self.tokens, self.heads = tokens, heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Mix the rows of ``v``. All arguments are [batch * tokens, width]."""
        return self.joined(self.shares(q, k) @ self.split(v))

    def shares(self, q: Tensor, k: Tensor) -> Tensor:
        """Return the attention weights of each token, [batch, heads, tokens, tokens]."""
        q, k = self.split(q), self.split(k)
        return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)

    def split(self, x: Tensor) -> Tensor:
        """Return [batch, heads, tokens, d]."""
        return x.reshape(-1, self.tokens, self.heads, x.shape[1] // self.heads).transpose(1, 2)

    def joined(self, x: Tensor) -> Tensor:
        """Undo ``split``."""
        return x.transpose(1, 2).reshape(-1, x.shape[1] * x.shape[3])
