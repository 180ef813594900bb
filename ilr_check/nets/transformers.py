"""Language models: Llama, Qwen3, OLMo-2 and Gemma-3 as one module, which differs in where its norms are.

Given the same weights, each computes the same logits as the class of the package ``transformers``. Gemma-3 is
the one whose layers all attend to the whole context. A matrix starts normal with standard deviation
1/sqrt(fan_in), and a gain starts so that it changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from ilr_check.nets.layers import Layer
from ilr_check.nets.norm_specs import NormSpec
from ilr_check.nets.norms import Norm
from ilr_check.nets.transformer_specs import TransformerSpec

PLACES = {
    "pre": ("before_attention", "before_mlp"),
    "qk": ("before_attention", "q_norm", "k_norm", "before_mlp"),
    "post": ("q_norm", "k_norm", "after_attention", "after_mlp"),
    "sandwich": (
        "before_attention",
        "q_norm",
        "k_norm",
        "after_attention",
        "before_mlp",
        "after_mlp",
    ),
}
"""The norms of a block, by the name of their list, for each placement."""
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")
"""The matrices of a block, by the name of their list."""


class Gained(nn.Module):
    """A norm by the root mean square, and its trained gain, which repeats itself if it is shorter than a
    row."""

    def __init__(self, spec: NormSpec, gains: int, *, plus_one: bool) -> None:
        super().__init__()
        self.norm = Norm(spec)
        self.gain = nn.Parameter(torch.empty(gains, device="meta"))
        self.plus_one = plus_one

    def forward(self, x: Tensor) -> Tensor:
        """Normalise rows [rows, features]."""
        gain = 1.0 + self.gain if self.plus_one else self.gain
        y: Tensor = self.norm(x).reshape(x.shape[0], -1, len(gain))
        return (y * gain).reshape(x.shape)


class Transformer(nn.Module):
    """The language model of a spec, without numbers yet. ``build`` fills it."""

    cos: Tensor
    sin: Tensor
    future: Tensor

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.spec = spec
        width, features = spec.width, spec.features
        norm = rms_of(spec)

        def layers(inputs: int, outputs: int) -> nn.ModuleList:
            return nn.ModuleList(Layer(inputs, outputs, norm(1), bias=False) for _ in range(spec.blocks))

        self.embedding = Layer(width, spec.vocabulary, norm(1), bias=False)
        self.q, self.o = layers(width, spec.heads * features), layers(spec.heads * features, width)
        self.k, self.v = (layers(width, spec.groups * features) for _ in "kv")
        self.gate, self.up = layers(width, spec.mlp_width), layers(width, spec.mlp_width)
        self.down = layers(spec.mlp_width, width)
        gained = partial(Gained, plus_one=spec.placement == "sandwich")
        together = spec.placement == "post"
        for place in PLACES[spec.placement]:
            heads = {"q_norm": spec.heads, "k_norm": spec.groups}.get(place, 0)
            sets = heads if heads and not together else 1
            gains = (heads if together else 1) * features if heads else width
            setattr(self, place, nn.ModuleList(gained(norm(sets), gains) for _ in range(spec.blocks)))
        self.last = gained(norm(1), width)
        if not spec.tied:
            self.head = Layer(width, spec.vocabulary, norm(1), bias=False)
        self.scores = nn.Identity()
        half = torch.empty(spec.inputs, 1, features // 2, device="meta")
        self.register_buffer("cos", half, persistent=False)
        self.register_buffer("sin", half.clone(), persistent=False)
        future = torch.empty(spec.inputs, spec.inputs, dtype=torch.bool, device="meta")
        self.register_buffer("future", future, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [batch, length] to the logits of each next token, [batch, length, vocabulary]."""
        spec = self.spec
        h = functional.embedding(tokens.long(), self.embedding.weight).reshape(-1, spec.width)
        if spec.placement == "sandwich":
            h = h * spec.width**0.5
        for i in range(spec.blocks):
            a = self.normed("before_attention", i, h)
            q = self.normed("q_norm", i, self.q[i](a))
            k = self.normed("k_norm", i, self.k[i](a))
            attended = self.o[i](self.attend(q, k, self.v[i](a), tokens.shape[1]))
            h = h + self.normed("after_attention", i, attended)
            m = self.normed("before_mlp", i, h)
            h = h + self.normed(
                "after_mlp", i, self.down[i](self.activation(self.gate[i](m)) * self.up[i](m))
            )
        head = self.embedding if spec.tied else self.head
        logits: Tensor = head(self.last(h))
        return logits.reshape(*tokens.shape, spec.vocabulary)

    def normed(self, place: str, block: int, x: Tensor) -> Tensor:
        """Apply the norm at a place, if the architecture has one there."""
        if place not in PLACES[self.spec.placement]:
            return x
        out: Tensor = getattr(self, place)[block](x)
        return out

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """The activation of the gate."""
        if self.spec.placement == "sandwich":
            return partial(functional.gelu, approximate="tanh")
        return functional.silu

    def attend(self, q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
        """Mix the rows of ``v`` of each token's past. All arguments are [batch * length, features of all
        heads]."""
        spec = self.spec
        q, k = (
            self.turned(x.reshape(-1, length, x.shape[1] // spec.features, spec.features)) for x in (q, k)
        )
        v = v.reshape(k.shape)
        shared = spec.heads // spec.groups
        # Queries that share keys stand one after the other, so that one product serves all of them.
        q = q.transpose(1, 2).reshape(-1, spec.groups, shared * length, spec.features)
        scores = (q * spec.features**-0.5) @ k.permute(0, 2, 3, 1)
        scores = self.scores(scores.reshape(-1, spec.heads, length, length))
        shares = torch.softmax(scores.masked_fill(self.future[:length, :length], -torch.inf), dim=-1)
        mixed = shares.reshape(-1, spec.groups, shared * length, length) @ v.transpose(1, 2)
        mixed = mixed.reshape(-1, spec.heads, length, spec.features).transpose(1, 2)
        return mixed.reshape(-1, spec.heads * spec.features)

    def turned(self, x: Tensor) -> Tensor:
        """Turn each pair of features (i, i + d/2) of [batch, length, heads, d] by its position's angle."""
        length = x.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    def fill_tables(self) -> None:
        """Fill in the tables of positions. The angle of pair i at position t is t theta^(-2i/d)."""
        spec = self.spec
        pairs = torch.arange(spec.features // 2, dtype=torch.float64)
        position = torch.arange(spec.inputs, dtype=torch.float64).reshape(-1, 1, 1)
        angle = position * spec.rope_theta ** (-2.0 * pairs / spec.features)
        self.cos.copy_(angle.cos())
        self.sin.copy_(angle.sin())
        self.future.copy_(torch.ones(spec.inputs, spec.inputs, dtype=torch.bool).triu(1))

    def drawn(self, name: str, generator: torch.Generator) -> Tensor:
        """Draw the initial numbers of one tensor."""
        shape = self.get_parameter(name).shape
        if name.endswith(".gain"):
            return torch.full(shape, float(self.spec.placement != "sandwich"), dtype=torch.float64)
        return torch.randn(shape, generator=generator, dtype=torch.float64) / math.sqrt(shape[1])


def rms_of(spec: TransformerSpec) -> Callable[[int], NormSpec]:
    """Return the norm of rows that consist of a number of sets."""
    return lambda sets: NormSpec(kind="rms", groups=sets, eps=spec.eps)


def mean_loss(module: nn.Module, x: Tensor, y: Tensor, parameters: dict[str, Tensor] | None = None) -> Tensor:
    """Return the mean cross-entropy of a batch in nats: of the labels ``y``, or of each next token of a row.

    A row of a language model is its context and one more token, and ``y`` is not used. ``parameters`` stand
    in for the module's own.
    """
    tokens = isinstance(module, Transformer)
    inputs, wanted = (x[:, :-1], x[:, 1:].reshape(-1).long()) if tokens else (x, y)
    logits: Tensor = module(inputs) if parameters is None else functional_call(module, parameters, (inputs,))
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), wanted)


def attention_scores(module: nn.Module, tokens: Tensor, parameters: dict[str, Tensor]) -> Tensor:
    """Return what the softmax of attention sees, [blocks, batch, heads, queries, keys]; a query uses the keys
    up to its own."""
    assert isinstance(module, Transformer)
    found: list[Tensor] = []
    hook = module.scores.register_forward_hook(lambda _, given, scores: found.append(scores))
    try:
        functional_call(module, parameters, (tokens,))
    finally:
        hook.remove()
    return torch.stack(found)


def hidden_matrices(spec: TransformerSpec) -> tuple[str, ...]:
    """Return the names of the matrices inside the blocks; the others are the embedding, the head and
    gains."""
    return tuple(f"{name}.{i}.weight" for name in MATRICES for i in range(spec.blocks))


def invariant_matrices(spec: TransformerSpec) -> tuple[str, ...]:
    """Return the names of the tensors that are scale-invariant alone, up to eps.

    They follow from the construction: a norm reads what is linear in them, and nothing else.
    """
    alone = {"pre": "", "qk": "qk", "post": "qkvo", "sandwich": "qkvo"}[spec.placement]
    lists = (*alone, *(("up", "down") if "o" in alone else ()))
    return tuple(f"{name}.{i}.weight" for name in lists for i in range(spec.blocks))


def own_norms(spec: TransformerSpec) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return, for each group of tensors that is scale-invariant up to eps, the norms that read its scale.

    L(c w, c^2 eps) = L(w, eps) for the eps of these norms alone. V and O have the same norm, and so have up
    and down: each is linear in front of it, so that the product of their scales is what the norm sees.
    """
    reader = {"q": "q_norm", "k": "k_norm", "up": "after_mlp", "down": "after_mlp"}
    owners: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name in invariant_matrices(spec):
        part, block, _ = name.split(".")
        owners[(name,)] = (f"{reader.get(part, 'after_attention')}.{block}.norm",)
    if stream_writers(spec):
        before = [f"before_{half}.{i}.norm" for i in range(spec.blocks) for half in ("attention", "mlp")]
        owners[stream_writers(spec)] = (*before, "last.norm")
    return owners


def stream_writers(spec: TransformerSpec) -> tuple[str, ...]:
    """Return the names of the tensors that are scale-invariant only together, because they write the residual
    stream.

    In each block, V can take the place of O, and up that of down. There are none if the stream reaches
    something that is not normalised: the MLP of OLMo-2, a tied head, or norms that write a fixed scale.
    """
    if spec.placement not in ("pre", "qk") or spec.tied:
        return ()
    return ("embedding.weight", *(f"{name}.{i}.weight" for name in ("o", "down") for i in range(spec.blocks)))
