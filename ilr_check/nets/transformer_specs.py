"""The spec of a language model: a decoder-only transformer in one of four published architectures."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from ilr_check.nets.norm_specs import (
    EPS_RANGE,
    MAX_DEPTH,
    MAX_WIDTH,
    NormSpec,
    check_integer,
    check_one_of,
)

Placement = Literal["pre", "qk", "post", "sandwich"]

FAMILIES: dict[Placement, str] = {"pre": "Llama", "qk": "Qwen3", "post": "OLMo-2", "sandwich": "Gemma-3"}
"""The published architecture of each placement of the norms."""


class TransformerSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="transformer",
):
    """A language model: it maps tokens to the logits of the token that follows each of them.

    Every norm divides by the root mean square, with a trained gain. ``placement`` says where the norms are:

    - ``pre``, as in Llama: in front of attention and of the MLP.
    - ``qk``, as in Qwen3: the same, and the queries and keys of each head are normalised.
    - ``post``, as in OLMo-2: behind attention and behind the MLP, before their outputs are added to the
      residual stream. The queries of all heads are normalised together, and so are the keys.
    - ``sandwich``, as in Gemma-3: in front and behind, and the queries and keys of each head. A gain is one
      plus its tensor, the embedding is multiplied by sqrt(width), and the MLP has GELU in place of SiLU.

    Attention is causal, with rotary positions of base ``rope_theta``. ``kv_heads`` pairs of keys and values
    are shared by groups of ``heads`` queries of ``head_dim`` features; 0 stands for as many as heads and for
    width / heads. With ``tied`` the head is the embedding. Everything is trained. Raises ``ValueError`` for a
    value out of range.
    """

    context: int
    width: int
    blocks: int
    heads: int
    mlp_width: int
    placement: Placement = "pre"
    kv_heads: int = 0
    head_dim: int = 0
    vocabulary: int = 256
    tied: bool = False
    eps: float = 1e-6
    rope_theta: float = 10_000.0

    def __post_init__(self) -> None:
        check_integer("context", self.context, 1, MAX_WIDTH)
        check_integer("width", self.width, 1, MAX_WIDTH)
        check_integer("blocks", self.blocks, 1, MAX_DEPTH // 4)
        check_integer("heads", self.heads, 1, MAX_WIDTH)
        check_integer("mlp_width", self.mlp_width, 1, 16 * MAX_WIDTH)
        check_integer("vocabulary", self.vocabulary, 2, MAX_WIDTH**2)
        check_one_of("placement", self.placement, get_args(Placement))
        check_integer("kv_heads", self.kv_heads, 0, self.heads)
        check_integer("head_dim", self.head_dim, 0, MAX_WIDTH)
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"kv_heads={self.kv_heads} does not divide heads={self.heads}; choose a divisor")
        if not self.head_dim and self.width % self.heads:
            raise ValueError(
                f"heads={self.heads} does not divide width={self.width}; choose a divisor, or give head_dim"
            )
        if self.features % 2:
            raise ValueError(
                f"head_dim={self.features}: must be even, because rotary positions turn pairs of features"
            )
        if not (self.eps == 0 or EPS_RANGE[0] <= self.eps <= EPS_RANGE[1]):
            raise ValueError(
                f"eps={self.eps!r}: must be 0 (exactly scale-invariant) or within "
                f"[{EPS_RANGE[0]:g}, {EPS_RANGE[1]:g}]"
            )
        if not 1.0 < self.rope_theta < 1e12:
            raise ValueError(f"rope_theta={self.rope_theta!r}: must lie between 1 and 1e12")

    @property
    def features(self) -> int:
        """The number of features of one head."""
        return self.head_dim or self.width // self.heads

    @property
    def groups(self) -> int:
        """The number of pairs of keys and values."""
        return self.kv_heads or self.heads

    @property
    def inputs(self) -> int:
        """The number of tokens in a row: the context, and the token that follows it."""
        return self.context + 1

    @property
    def classes(self) -> int:
        """The number of different tokens."""
        return self.vocabulary

    @property
    def norm(self) -> NormSpec:
        """The norm of the residual stream."""
        return NormSpec(kind="rms", eps=self.eps, affine=True)

    @property
    def shared(self) -> bool:
        """Always False, because no layer is used twice."""
        return False

    @property
    def head_seed(self) -> int:
        """Always 0, because no tensor is fixed."""
        return 0

    @property
    def family(self) -> str:
        """The name of the published architecture."""
        return FAMILIES[self.placement]
