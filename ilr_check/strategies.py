"""Hypothesis strategies that return specs: printable, hashable, JSON; never live modules.

They shrink to the smallest net, the plainest optimizer and the constant schedule. All bounds are keyword-only
and inclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
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
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Cosine, Drops, Pauses, ScheduleSpec, WarmUp
from ilr_check.optim.schedules import Sequence as FactorSequence
from ilr_check.optim.specs import OptimizerSpec, implementations
from ilr_check.optim.symmetry import CONFIGURATIONS

__all__ = ["batch_sizes", "drawn", "hyper_params", "net_specs", "optimizers", "schedules"]

T = TypeVar("T")

NORMS: tuple[NormKind, ...] = (
    "batch", "layer", "group", "instance", "rms", "weight_norm", "weight_standard",
)  # fmt: skip
ACTIVATIONS: tuple[Activation, ...] = (
    "identity", "relu", "leaky_relu", "tanh", "gelu", "silu", "elu", "softplus",
)  # fmt: skip
NETS = ("mlp", "cnn", "resnet", "attention")
IMAGE_WIDTH, IMAGE_DEPTH, IMAGE_SIZE = 16, 7, 6
"""Convolutions are kept narrow, shallow and small: 20 layers of 64 channels take seconds an example."""
USUAL_DEPTH, DEEP_WIDTH, RARELY = 20, 8, 19
"""One flat net in 20 is deeper than usual, and then narrow: a hundred layers take a second an example."""
MAX_TOKENS, MAX_HEADS = 5, 4
MAX_GROUPS = 4
MAX_INTRINSIC_LR = 1.9
"""Above 1 the weights change sign at every step; from 2 on they grow without bound."""


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
    """Draw the spec of an MLP, a CNN, a residual net, flat or on images, or a net with attention.

    Depth counts trainable layers; few nets are deeper than 20 and these are narrow, for the sake of time.
    With one class the cross-entropy is constant, hence two at least by default. ``eps``, ``biases``,
    ``affines`` and ``shared`` are the values to choose from, the first being the simplest. Degenerate corners
    (sets of one or two numbers, width 1) are drawn on purpose; count them with ``hypothesis.event`` and
    ``ilr_check.nets.degenerate``.
    """
    _bounds("depth", min_depth, max_depth, 256)
    _bounds("width", min_width, max_width, MAX_WIDTH)
    _bounds("inputs", 1, max_inputs, MAX_WIDTH**2)
    _bounds("classes", min_classes, max_classes, MAX_WIDTH)
    _known("nets", nets, NETS)
    _known("norms", norms, NORMS)
    _known("activations", activations, ACTIVATIONS)
    kinds = [n for n in nets if _reachable(n, norms, min_depth, max_depth, min_width)]
    if not kinds:
        raise ValueError(
            f"no net of {tuple(nets)} fits depth {min_depth} to {max_depth}, width from {min_width} and "
            f"norms {tuple(norms)}: residual nets have odd depth from 3 on, nets on images have up to "
            f"{IMAGE_DEPTH} layers and {IMAGE_WIDTH} channels, and only they can have instance norm"
        )
    kind = draw(st.sampled_from(kinds))
    flat = [n for n in norms if n != "instance"]
    # The same decisions in the same order whatever the kind, so that failures shrink from one to another.
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
    blocks = _integers(max(1, min_depth // 2), max(1, (max_depth - 1) // 2), with_largest=deep)
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
        # A number, a yes or no, and a width, as for an MLP.
        count, before = draw(blocks), draw(st.booleans())
        return ResNetSpec(
            shape=shape,
            blocks=count,
            width=draw(widths),
            residual=_RESIDUALS[before],
            kernel=draw(st.sampled_from([1, 3])) if image else 3,
            **options,
        )
    depth = draw(_integers(min_depth, max_depth, with_largest=deep))
    # One width for all layers is the simpler choice, also to Hypothesis, which prefers few decisions: without
    # it a deep MLP would shrink to a residual net.
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


def batch_sizes(*, min_value: int = 2, max_value: int = 128) -> st.SearchStrategy[int]:
    """Draw a batch size; 2 is a degenerate corner of batch norm (its gradient is rounding)."""
    _bounds("batch size", min_value, max_value, 2**20)
    return st.integers(min_value, max_value)


@st.composite
def hyper_params(
    draw: st.DrawFn,
    *,
    min_lr: float = 1e-4,
    max_lr: float = 1e2,
    max_intrinsic_lr: float = MAX_INTRINSIC_LR,
    momentum: bool = True,
    max_momentum: float = 0.99,
    min_batch_size: int = 2,
    max_batch_size: int = 128,
    max_steps: int = 20,
    max_init_scale: float = 1e3,
) -> HyperParams:
    """Draw the settings of one run: lr over its decades, lambda_e = lr * weight_decay from 0 to above 1.

    lambda_e is exactly 0 (no decay) and exactly 1 (the old weights vanish) in a good share of the draws.
    Without ``momentum`` the optimizer is plain SGD. ``init_scale`` is log-uniform within 1 /
    ``max_init_scale`` and ``max_init_scale``.
    """
    if not 0 < min_lr <= max_lr < math.inf:
        raise ValueError(f"min_lr={min_lr!r}, max_lr={max_lr!r}: need 0 < min_lr <= max_lr, both finite")
    if not 0 <= max_intrinsic_lr < 2:
        raise ValueError(f"max_intrinsic_lr={max_intrinsic_lr!r}: must be within [0, 2)")
    if not 0 <= max_momentum < 1:
        raise ValueError(f"max_momentum={max_momentum!r}: must be within [0, 1)")
    lr = draw(_log_uniform(min_lr, max_lr))
    intrinsic = draw(_intrinsic_lrs(max_intrinsic_lr))
    if intrinsic == 1.0:
        power = round(math.log2(lr))  # lr * (1 / lr) == 1 exactly only if lr is a power of two
        power += (2.0**power < min_lr) - (2.0**power > max_lr)
        lr = 2.0**power if min_lr <= 2.0**power <= max_lr else lr
    speed = draw(_momenta(max_momentum)) if momentum else 0.0
    nesterov = speed > 0 and draw(st.booleans())
    dampening = 0.0 if nesterov or speed == 0 else draw(st.just(0.0) | _thousandths(0, 1))
    return HyperParams(
        lr=lr,
        weight_decay=intrinsic / lr,
        momentum=speed,
        dampening=dampening,
        nesterov=nesterov,
        batch_size=draw(batch_sizes(min_value=min_batch_size, max_value=max_batch_size)),
        steps=draw(st.integers(1, max_steps)),
        init_scale=draw(_log_uniform(1 / max_init_scale, max_init_scale)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def schedules(*, max_period: int = 20, min_factor: float = 0.0) -> st.SearchStrategy[ScheduleSpec]:
    """Draw a schedule: constant, drops (or rises), warm-up, cosine, random positive factors, and pauses at lr
    0.

    With ``min_factor`` > 0 no factor is 0: no pauses, and no cosine, which comes as near to 0 as the run is
    long.
    """
    if not 0 <= min_factor <= 1 or max_period < 1:
        raise ValueError(f"max_period={max_period!r}, min_factor={min_factor!r}: need >= 1 and within [0, 1]")
    periods = st.integers(1, max_period)
    positive = _log_uniform(max(min_factor, 1e-3), 1e3)
    drops = st.sampled_from([f for f in (0.5, 0.1, 0.25, 2.0) if f >= min_factor])
    choices: list[st.SearchStrategy[ScheduleSpec]] = [
        st.just(Constant()),
        st.builds(Drops, period=periods, factor=drops) if min_factor == 0 else st.just(Constant()),
        st.builds(WarmUp, period=periods),
        st.builds(FactorSequence, values=st.lists(positive, min_size=1, max_size=max_period).map(tuple)),
    ]
    if min_factor == 0:
        choices += [st.just(Cosine()), st.builds(Pauses, period=periods)]
    return st.one_of(choices)


@st.composite
def optimizers(
    draw: st.DrawFn, *, configurations: Sequence[str] | None = None, device: str = "cpu"
) -> OptimizerSpec:
    """Draw an optimizer of the installed torch, or Lion, with its arguments and one of its implementations.

    ``configurations`` are rows of ``ilr_check.optim.symmetry.CONFIGURATIONS``; by default all that have a
    symmetry. lr and weight decay are not part of it: they come from ``hyper_params``.
    """
    symmetric = [name for name, row in CONFIGURATIONS.items() if not row.symmetry.exception]
    names = symmetric if configurations is None else list(configurations)
    _known("configurations", names, tuple(CONFIGURATIONS))
    optimizer = CONFIGURATIONS[draw(st.sampled_from(names))].optimizer
    args = dict(optimizer.args)
    for name, values in _VARIED.items():
        if name in args and not isinstance(args[name], tuple):
            args[name] = draw(st.just(args[name]) | values)
    if optimizer.takes("betas"):
        args["betas"] = (draw(st.sampled_from([0.9, 0.5, 0.0])), draw(st.sampled_from(_SECOND_BETAS)))
    return OptimizerSpec(
        name=optimizer.name,
        args=args,
        implementation=draw(st.sampled_from(implementations(optimizer.name, device))),
    )


def drawn(strategy: st.SearchStrategy[T], n: int, seed_value: int) -> list[T]:
    """Return ``n`` values of a strategy, decided by ``seed_value`` and the version of Hypothesis alone.

    For statistical claims: what a search returns is selected, so their subjects are drawn up front. Call it
    outside ``@given``. Raises ``ValueError`` where the strategy has fewer than ``n`` different values.
    """
    values: list[T] = []

    @seed(seed_value)
    @settings(
        max_examples=n,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        values.append(value)

    collect()
    if len(values) < n:
        raise ValueError(f"n={n}: {strategy} gave only {len(values)} different values; ask for fewer")
    return values[:n]


_SECOND_BETAS = (0.999, 0.99, 0.9, 0.8, 0.7, 0.5)
"""Down to 0.7 RAdam's first phase grows from 5 steps to 9; at 0.5 it lasts for ever."""

_RESIDUALS: tuple[Residual, ...] = ("post", "pre")


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
    # Only as many groups as divide some allowed width.
    fitting = [g for g in range(1, MAX_GROUPS + 1) if max_width // g * g >= min_width]
    groups = draw(st.sampled_from(fitting)) if kind in ("group", "rms") else 1
    return NormSpec(
        kind=kind, groups=groups, eps=draw(st.sampled_from(eps)), affine=draw(st.sampled_from(affines))
    )


def _usual(activations: Sequence[Activation]) -> list[Activation]:
    """Repeat the homogeneous ones: only with these is the gain of a hidden norm scale-invariant."""
    return [*activations, *2 * [a for a in activations if a in HOMOGENEOUS]]


def _integers(low: int, high: int, *, with_largest: bool) -> st.SearchStrategy[int]:
    """Draw within the range, which Hypothesis does near its lower end; the largest often, on request."""
    if not with_largest:
        return st.integers(low, high)
    # Not `integers | just`: just needs no decision, so failures would shrink to it.
    return st.tuples(st.booleans(), st.integers(low, high)).map(lambda pair: high if pair[0] else pair[1])


def _log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw numbers over all decades of the range, three digits long; shrinks towards 1.

    The decade is a draw of its own: one number for the whole exponent would lie near 0 nine times out of ten.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) - 1
    parts = st.tuples(st.integers(first, max(first, last)), st.integers(0, 99))
    return parts.map(lambda p: min(max(float(f"{10 ** (p[0] + p[1] / 100):.3g}"), low), high))


def _thousandths(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw whole thousandths; spread evenly, where ``st.floats`` prefers the ends."""
    return st.integers(math.ceil(1000 * low), math.floor(1000 * high)).map(lambda n: n / 1000)


_VARIED: dict[str, st.SearchStrategy[Any]] = {
    "eps": _log_uniform(1e-12, 1.0),
    "momentum": st.sampled_from((0.5, 0.99)),
    "dampening": _thousandths(0, 1),
    "initial_accumulator_value": st.just(0.0) | _log_uniform(1e-6, 1.0),
    "lambd": _log_uniform(1e-6, 0.1),
}
"""Arguments whose value is drawn wherever a row of the table has them."""


def _intrinsic_lrs(largest: float) -> st.SearchStrategy[float]:
    choices = [st.just(0.0)]
    if largest > 0:
        choices.append(_log_uniform(min(1e-6, largest), min(largest, 0.999)))
    if largest >= 1:
        choices.append(st.just(1.0))
    if largest >= 1.001:
        choices.append(_thousandths(1.001, largest))
    return st.one_of(choices)


def _momenta(largest: float) -> st.SearchStrategy[float]:
    usual = [m for m in (0.5, 0.9, 0.99) if m <= largest]
    choices = [st.just(0.0)]
    if largest >= 0.001:
        choices.append(_thousandths(0.001, largest))
    if usual:
        choices.append(st.sampled_from(usual))
    return st.one_of(choices)


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


def _bounds(name: str, low: int, high: int, largest: int) -> None:
    if not 1 <= low <= high <= largest:
        raise ValueError(f"{name} from {low!r} to {high!r}: need 1 <= min <= max <= {largest}")


def _known(name: str, values: Sequence[str], known: Sequence[str]) -> None:
    unknown = [v for v in values if v not in known]
    if unknown or not values:
        raise ValueError(f"{name}={tuple(values)!r}: must be some of {', '.join(known)}")
