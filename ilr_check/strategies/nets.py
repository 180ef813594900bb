"""A strategy for nets of every architecture that a spec can describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from ilr_check.nets.specs import (
    HOMOGENEOUS,
    MAX_WIDTH,
    Activation,
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormKind,
    NormSpec,
    Residual,
    ResNetSpec,
)
from ilr_check.strategies.ranges import bounds, integers, known

NORMS: tuple[NormKind, ...] = (
    "batch", "layer", "group", "instance", "rms", "weight_norm", "weight_standard",
)  # fmt: skip
ACTIVATIONS: tuple[Activation, ...] = (
    "identity", "relu", "leaky_relu", "tanh", "gelu", "silu", "elu", "softplus",
)  # fmt: skip
NETS = ("mlp", "cnn", "resnet", "attention")
IMAGE_WIDTH, IMAGE_DEPTH, IMAGE_SIZE = 16, 7, 6
"""Nets with convolutions are kept narrow, shallow and small: with 20 layers of 64 channels an example takes
seconds."""
USUAL_DEPTH, DEEP_WIDTH, RARELY = 20, 8, 19
"""One flat net in 20 is deeper than usual, and then it is narrow: with a hundred layers an example takes a
second."""
MAX_TOKENS, MAX_HEADS = 5, 4
MAX_GROUPS = 4
_RESIDUALS: tuple[Residual, ...] = ("post", "pre")


@st.composite
def net_specs(
    draw: st.DrawFn,
    *,
    min_depth: int = 1,
    max_depth: int = 100,
    min_width: int = 1,
    max_width: int = 64,
    max_inputs: int = 16,
    min_classes: int = 2,
    max_classes: int = 10,
    nets: Sequence[str] = NETS,
    norms: Sequence[NormKind] = NORMS,
    activations: Sequence[Activation] = ACTIVATIONS,
    eps: Sequence[float] = (0.0,),
    biases: Sequence[bool] = (False, True),
    affines: Sequence[bool] = (False, True),
    shared: Sequence[bool] = (False, True),
) -> NetSpec:
    """Draw the spec of an MLP, a CNN, a residual net (flat or on images) or a net with attention.

    Depth counts trainable layers. Few nets are deeper than 20, and these are narrow, to save time. With one
    class the cross-entropy is constant, so the default has at least two. ``eps``, ``biases``, ``affines`` and
    ``shared`` are the values to choose from; the first is the simplest. Degenerate cases (sets of one or two
    numbers, width 1) are drawn on purpose; count them with ``hypothesis.event`` and
    ``ilr_check.nets.degenerate``. Raises ``ValueError`` for bounds that no net can satisfy.
    """
    bounds("depth", min_depth, max_depth, 256)
    bounds("width", min_width, max_width, MAX_WIDTH)
    bounds("inputs", 1, max_inputs, MAX_WIDTH**2)
    bounds("classes", min_classes, max_classes, MAX_WIDTH)
    known("nets", nets, NETS)
    known("norms", norms, NORMS)
    known("activations", activations, ACTIVATIONS)
    kinds = [n for n in nets if _reachable(n, norms, min_depth, max_depth, min_width)]
    if not kinds:
        raise ValueError(
            f"no net of {tuple(nets)} fits depth {min_depth} to {max_depth}, width from {min_width} and "
            f"norms {tuple(norms)}: residual nets have an odd depth of at least 3, nets on images have up to "
            f"{IMAGE_DEPTH} layers and {IMAGE_WIDTH} channels, and only nets on images can have instance norm"
        )
    kind = draw(st.sampled_from(kinds))
    flat = [n for n in norms if n != "instance"]
    # The same decisions are made in the same order for every kind, so that failures shrink from one kind to
    # another.
    may_be_deep = max_depth > USUAL_DEPTH
    rare = may_be_deep and draw(st.integers(0, RARELY)) == RARELY
    on_images = (may_be_deep or kind == "resnet") and draw(st.booleans())
    image = kind == "cnn"
    if kind == "resnet" and min_depth <= IMAGE_DEPTH and min_width <= IMAGE_WIDTH:
        image = on_images if flat else True
    if image:
        max_depth, max_width = min(max_depth, IMAGE_DEPTH), min(max_width, IMAGE_WIDTH)
    deep = False
    if not image and max_depth > USUAL_DEPTH:
        deep = min_depth > USUAL_DEPTH or rare
        if deep:
            min_depth = max(min_depth, USUAL_DEPTH + 1)
            max_width = max(min_width, min(max_width, DEEP_WIDTH))
        else:
            max_depth = USUAL_DEPTH
    if kind == "attention":
        flat = [n for n in flat if not n.startswith("weight")]
    allowed = list(norms) if image else flat
    norm = draw(_norm_specs(allowed, eps, affines, min_width, max_width))
    options: dict[str, Any] = {
        "norm": norm,
        "activation": draw(st.sampled_from(_usual(activations) if norm.affine else activations)),
        "bias": draw(st.sampled_from(biases)),
        "shared": draw(st.sampled_from(shared)),
        "classes": draw(st.integers(min_classes, max_classes)),
        "head_seed": draw(st.integers(0, 99)),
    }
    widths = st.integers(-(-min_width // norm.groups), max_width // norm.groups).map(
        lambda n: n * norm.groups
    )
    pixels = st.integers(1, IMAGE_SIZE)
    blocks = integers(max(1, min_depth // 2), max(1, (max_depth - 1) // 2), with_largest=deep)
    if kind == "attention":
        tokens = draw(st.integers(1, min(MAX_TOKENS, max_inputs)))
        width = draw(widths)
        return AttentionSpec(
            shape=(tokens, draw(st.integers(1, max_inputs // tokens))),
            width=width,
            blocks=draw(blocks),
            heads=draw(st.sampled_from([n for n in range(1, MAX_HEADS + 1) if width % n == 0])),
            qk_norm=draw(st.sampled_from((True, False))),
            **options,
        )
    shape = (
        (draw(st.integers(1, 3)), draw(pixels), draw(pixels))
        if image
        else (draw(st.integers(1, max_inputs)),)
    )
    if kind == "resnet":
        # The order is a number, a yes or no, and a width, as for an MLP.
        count, before = draw(blocks), draw(st.booleans())
        return ResNetSpec(
            shape=shape,
            blocks=count,
            width=draw(widths),
            residual=_RESIDUALS[before],
            kernel=draw(st.sampled_from([1, 3])) if image else 3,
            **options,
        )
    depth = draw(integers(min_depth, max_depth, with_largest=deep))
    # One width for all layers is the simpler choice. Hypothesis prefers few decisions too, so without this
    # choice a deep MLP would shrink to a residual net.
    if draw(st.booleans()) and not options["shared"]:
        sizes = tuple(draw(st.lists(widths, min_size=depth, max_size=depth)))
    else:
        sizes = (draw(widths),) * depth
    if len(shape) == 1:
        return MLPSpec(inputs=shape[0], widths=sizes, **options)
    strides = draw(st.just(()) | st.lists(st.integers(1, 2), min_size=depth, max_size=depth).map(tuple))
    return CNNSpec(
        image=shape, channels=sizes, kernel=draw(st.sampled_from([1, 3, 5])), strides=strides, **options
    )


@st.composite
def _norm_specs(
    draw: st.DrawFn,
    kinds: Sequence[NormKind],
    eps: Sequence[float],
    affines: Sequence[bool],
    min_width: int,
    max_width: int,
) -> NormSpec:
    kind = draw(st.sampled_from(kinds))
    # The number of groups must divide some allowed width.
    fitting = [g for g in range(1, MAX_GROUPS + 1) if max_width // g * g >= min_width]
    groups = draw(st.sampled_from(fitting)) if kind in ("group", "rms") else 1
    return NormSpec(
        kind=kind, groups=groups, eps=draw(st.sampled_from(eps)), affine=draw(st.sampled_from(affines))
    )


def _usual(activations: Sequence[Activation]) -> list[Activation]:
    """Repeat the homogeneous activations, because only with them the gain of a hidden norm is
    scale-invariant."""
    return [*activations, *2 * [a for a in activations if a in HOMOGENEOUS]]


def _reachable(kind: str, norms: Sequence[NormKind], min_depth: int, max_depth: int, min_width: int) -> bool:
    image = min_depth <= IMAGE_DEPTH and min_width <= IMAGE_WIDTH
    flat = bool(set(norms) - {"instance"})
    if kind == "cnn":
        return image
    if kind == "attention":
        flat = image = bool(set(norms) - {"instance", "weight_norm", "weight_standard"})
    if kind == "mlp":
        return flat
    odd = max(1, min_depth // 2) <= (max_depth - 1) // 2
    return odd and (flat or image)
