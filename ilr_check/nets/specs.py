"""Nets as values: frozen, printable, hashable and JSON. A spec says what to build and is never the live
module.

A spec determines a net's function except for its trainable weights: the shape, the norm layers and their eps,
the activation, and the seed of the fixed random head. Li, Lyu, Arora 2020 fix the last layer at its random
initialisation, because no norm follows it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from ilr_check.nets.norm_specs import (
    MAX_DEPTH,
    check_integer,
    check_integers,
    check_one_of,
)
from ilr_check.nets.norm_specs import MAX_WIDTH as MAX_WIDTH
from ilr_check.nets.norm_specs import NormKind as NormKind
from ilr_check.nets.norm_specs import NormSpec as NormSpec
from ilr_check.nets.transformer_specs import TransformerSpec
from ilr_check.seeds import MAX_SEED

Activation = Literal["identity", "relu", "leaky_relu", "tanh", "gelu", "silu", "elu", "softplus"]
Residual = Literal["pre", "post"]

HOMOGENEOUS: tuple[Activation, ...] = ("identity", "relu", "leaky_relu")
"""act(s x) = s act(x) for s > 0, so that a factor in front of these activations passes through."""


def _ends(classes: int, activation: str, head_seed: int, head_scale: float) -> None:
    check_integer("classes", classes, 1, MAX_WIDTH)
    check_one_of("activation", activation, get_args(Activation))
    check_integer("head_seed", head_seed, 0, MAX_SEED)
    if not 1e-6 <= head_scale <= 1e6:
        raise ValueError(
            f"head_scale={head_scale!r}: must be within [1e-06, 1e+06]; 1 gives logits of order 1"
        )


def _image(image: object, kernel: int) -> None:
    if not isinstance(image, tuple) or len(image) != 3:
        raise ValueError(f"image={image!r}: must be (channels, height, width)")
    for name, size in zip(("channels", "height", "width"), image, strict=True):
        check_integer(f"image {name}", size, 1, MAX_WIDTH)
    check_integer("kernel", kernel, 1, 63)
    if kernel % 2 == 0:
        raise ValueError(
            f"kernel={kernel}: must be odd, so that padding kernel // 2 keeps the size; try {kernel + 1}"
        )


def _flat_norm(norm: NormSpec) -> None:
    if norm.kind == "instance":
        raise ValueError("norm kind='instance' in a flat net: this norm needs pixels; use a net on images")


def _one_size(shared: bool, name: str, sizes: tuple[int, ...]) -> None:
    if shared and len(set(sizes)) > 1:
        raise ValueError(
            f"shared=True with {name}={sizes!r}: layers that share a tensor must have the same size"
        )


def _divides(norm: NormSpec, width: int) -> None:
    if width % norm.groups:
        raise ValueError(f"groups={norm.groups} does not divide width {width}; choose a divisor of {width}")


class MLPSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="mlp"
):
    """Hidden layers linear -> norm -> activation of sizes ``widths``, then the fixed random head.

    With ``shared`` all layers but the first use the same tensor.
    """

    inputs: int
    widths: tuple[int, ...]
    classes: int
    norm: NormSpec = NormSpec()
    activation: Activation = "relu"
    bias: bool = False
    shared: bool = False
    head_seed: int = 0
    head_scale: float = 1.0

    def __post_init__(self) -> None:
        check_integer("inputs", self.inputs, 1, MAX_WIDTH**2)
        check_integers("widths", self.widths, 1, MAX_WIDTH)
        _one_size(self.shared, "widths", self.widths)
        _ends(self.classes, self.activation, self.head_seed, self.head_scale)
        _flat_norm(self.norm)
        for width in self.widths:
            _divides(self.norm, width)


class CNNSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="cnn"
):
    """Hidden layers convolution -> norm -> activation, then the fixed head on all remaining pixels.

    ``image`` is (channels, height, width); the net takes flat rows and reshapes them itself. ``strides`` has
    one entry per layer, or none, which means 1 for all. The padding is kernel // 2, so a stride s leaves
    ceil(size / s) pixels. With ``shared`` all layers but the first use the same tensor.
    """

    image: tuple[int, int, int]
    channels: tuple[int, ...]
    classes: int
    kernel: int = 3
    strides: tuple[int, ...] = ()
    norm: NormSpec = NormSpec()
    activation: Activation = "relu"
    bias: bool = False
    shared: bool = False
    head_seed: int = 0
    head_scale: float = 1.0

    def __post_init__(self) -> None:
        _image(self.image, self.kernel)
        check_integers("channels", self.channels, 1, MAX_WIDTH)
        _one_size(self.shared, "channels", self.channels)
        if self.strides:
            check_integers("strides", self.strides, 1, 64)
            if len(self.strides) != len(self.channels):
                raise ValueError(
                    f"strides={self.strides!r}: need one per layer ({len(self.channels)}), or () for all ones"
                )
        _ends(self.classes, self.activation, self.head_seed, self.head_scale)
        for width in self.channels:
            _divides(self.norm, width)

    @property
    def inputs(self) -> int:
        return math.prod(self.image)


class ResNetSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="resnet"
):
    """A stem and ``blocks`` residual blocks of two layers each, all of one width, then the fixed head.

    ``post`` (He et al. 2015) is h <- act(h + norm(W2 act(norm(W1 h)))); every weight is scale-invariant
    alone. ``pre`` (He et al. 2016) is h <- h + W2 act(norm(W1 act(norm(h)))), with act(norm(h)) before the
    head; each W1 is scale-invariant alone, and the stem and all W2 are only jointly. ``shape`` is (features,)
    for a net of linear layers, or (channels, height, width) for convolutions with stride 1. With ``shared``
    all blocks use the same tensors, but each has its own norms.
    """

    shape: tuple[int, ...]
    width: int
    blocks: int
    classes: int
    residual: Residual = "pre"
    kernel: int = 3
    norm: NormSpec = NormSpec()
    activation: Activation = "relu"
    bias: bool = False
    shared: bool = False
    head_seed: int = 0
    head_scale: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.shape, tuple) and len(self.shape) == 3:
            _image(self.shape, self.kernel)
        elif isinstance(self.shape, tuple) and len(self.shape) == 1:
            check_integer("shape[0]", self.shape[0], 1, MAX_WIDTH**2)
            _flat_norm(self.norm)
            if self.kernel != 3:
                raise ValueError(
                    f"kernel={self.kernel!r} in a flat net: a flat net has no convolution; leave kernel=3"
                )
        else:
            raise ValueError(f"shape={self.shape!r}: must be (features,) or (channels, height, width)")
        check_integer("width", self.width, 1, MAX_WIDTH)
        check_integer("blocks", self.blocks, 1, MAX_DEPTH // 2)
        check_one_of("residual", self.residual, get_args(Residual))
        _ends(self.classes, self.activation, self.head_seed, self.head_scale)
        _divides(self.norm, self.width)

    @property
    def inputs(self) -> int:
        return math.prod(self.shape)


class PreResNetSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="preresnet"
):
    """Pre-activation blocks in stages, as He et al. 2016 use them for CIFAR, in homogeneous form.

    After a stem, there is a stage of ``blocks`` blocks of two layers for each of ``widths``. The first block
    of every stage but the first halves the image. A norm and the mean over pixels come before the fixed head.
    The skip of each stage's first block goes through a norm and a 1x1 layer of its own (``homo`` in the code
    of Li, Malladi, Arora 2021), so that the stream of each stage has a scale of its own. The 1x1 layer and
    the outer layers of a stage are invariant jointly, the stem and every inner layer alone. PreResNet-32 has
    widths (16, 32, 64) and 5 blocks.
    """

    image: tuple[int, int, int]
    widths: tuple[int, ...]
    blocks: int
    classes: int
    kernel: int = 3
    norm: NormSpec = NormSpec()
    activation: Activation = "relu"
    head_seed: int = 0
    head_scale: float = 1.0

    def __post_init__(self) -> None:
        _image(self.image, self.kernel)
        check_integers("widths", self.widths, 1, MAX_WIDTH)
        check_integer("blocks", self.blocks, 1, MAX_DEPTH // 2)
        _ends(self.classes, self.activation, self.head_seed, self.head_scale)
        if self.norm.affine or self.norm.of_weights:
            raise ValueError(f"norm={self.norm!r}: must normalise activations, without gains and shifts")
        for width in self.widths:
            _divides(self.norm, width)

    @property
    def inputs(self) -> int:
        return math.prod(self.image)

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of the first block of each stage."""
        return (1, *[2] * (len(self.widths) - 1))

    @property
    def bias(self) -> bool:
        """Always False, because no layer has a bias."""
        return False

    @property
    def shared(self) -> bool:
        """Always False, because no layer is used twice."""
        return False


class AttentionSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="attention"
):
    """A stem and ``blocks`` blocks of self-attention around a skip connection, then the fixed head on all
    tokens.

    ``shape`` is (tokens, features). Each block is h <- h + O attention(Q n, K n, V n) with n = norm(h), and
    act(norm(h)) comes before the head. With ``qk_norm`` the queries and keys of every head are divided by
    their root mean square, as in Qwen3, and Q and K are each scale-invariant alone. Without it only Q -> cQ,
    K -> K/c is a symmetry. The stem and all O are invariant jointly, and in each block V can take the place
    of O. With ``shared`` all blocks use the same tensors, but each has its own norms.
    """

    shape: tuple[int, int]
    width: int
    blocks: int
    classes: int
    heads: int = 1
    qk_norm: bool = True
    norm: NormSpec = NormSpec(kind="layer")
    activation: Activation = "relu"
    bias: bool = False
    shared: bool = False
    head_seed: int = 0
    head_scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple) or len(self.shape) != 2:
            raise ValueError(f"shape={self.shape!r}: must be (tokens, features)")
        for name, size in zip(("tokens", "features"), self.shape, strict=True):
            check_integer(name, size, 1, MAX_WIDTH)
        check_integer("width", self.width, 1, MAX_WIDTH)
        check_integer("blocks", self.blocks, 1, MAX_DEPTH // 2)
        check_integer("heads", self.heads, 1, MAX_WIDTH)
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide width {self.width}; choose a divisor of it")
        _ends(self.classes, self.activation, self.head_seed, self.head_scale)
        _flat_norm(self.norm)
        if self.norm.of_weights:
            raise ValueError(f"norm kind={self.norm.kind!r} with attention: choose a norm of activations")
        _divides(self.norm, self.width)

    @property
    def inputs(self) -> int:
        return math.prod(self.shape)


ClassifierSpec: TypeAlias = MLPSpec | CNNSpec | ResNetSpec | PreResNetSpec | AttentionSpec
"""A net that maps a row of numbers to one class, with a fixed head."""
NetSpec: TypeAlias = ClassifierSpec | TransformerSpec


def depth(spec: NetSpec) -> int:
    """Return the number of trainable layers on the longest path from input to head."""
    if isinstance(spec, MLPSpec):
        return len(spec.widths)
    if isinstance(spec, CNNSpec):
        return len(spec.channels)
    if isinstance(spec, PreResNetSpec):
        return 1 + 2 * spec.blocks * len(spec.widths)
    if isinstance(spec, TransformerSpec):
        return 1 + 4 * spec.blocks  # in a block: V or Q, then O, then gate or up, then down
    return 1 + 2 * spec.blocks  # in a block of attention: V or Q, then O


def to_json(spec: NetSpec) -> str:
    """Return the spec as one line of JSON. ``net_from_json`` is its inverse."""
    return msgspec.json.encode(spec).decode()


def net_from_json(text: str | bytes) -> NetSpec:
    """Return the spec that the JSON describes. Raises ``ValueError`` that names the wrong field."""
    try:
        spec: NetSpec = msgspec.json.decode(text, type=NetSpec)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a net spec: {error}") from error
    return spec


def to_dict(spec: NetSpec) -> dict[str, Any]:
    """Return the spec as plain JSON values, the form of a record's ``subject``."""
    built: dict[str, Any] = msgspec.to_builtins(spec)
    return built


def net_from_dict(values: Mapping[str, Any]) -> NetSpec:
    """Return the spec of what ``to_dict`` returned. Raises ``ValueError`` that names the wrong field."""
    try:
        spec: NetSpec = msgspec.convert(dict(values), type=NetSpec)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a net spec: {error}") from error
    return spec
