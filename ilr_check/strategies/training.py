"""Strategies for hyper-parameters, schedules and optimizers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Cosine, Drops, Pauses, ScheduleSpec, WarmUp
from ilr_check.optim.schedules import Sequence as FactorSequence
from ilr_check.optim.specs import OptimizerSpec, implementations
from ilr_check.optim.symmetry import CONFIGURATIONS
from ilr_check.strategies.ranges import bounds, known, log_uniform, thousandths

MAX_INTRINSIC_LR = 1.9
"""Above 1 the weights change sign at every step. From 2 on they grow without bound."""

_SECOND_BETAS = (0.999, 0.99, 0.9, 0.8, 0.7, 0.5)
"""Down to 0.7, RAdam's first phase grows from 5 steps to 9. At 0.5 it never ends."""

_VARIED: dict[str, st.SearchStrategy[Any]] = {
    "eps": log_uniform(1e-12, 1.0),
    "momentum": st.sampled_from((0.5, 0.99)),
    "dampening": thousandths(0, 1),
    "initial_accumulator_value": st.just(0.0) | log_uniform(1e-6, 1.0),
    "lambd": log_uniform(1e-6, 0.1),
}
"""Arguments whose value is drawn if a row of the table has them."""


def batch_sizes(*, min_value: int = 2, max_value: int = 128) -> st.SearchStrategy[int]:
    """Draw a batch size. 2 is a degenerate case of batch norm, because its gradient is rounding."""
    bounds("batch size", min_value, max_value, 2**20)
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
    """Draw the settings of one run: lr over its decades, and lambda_e = lr * weight_decay from 0 to above 1.

    lambda_e is exactly 0 (no decay) or exactly 1 (the old weights vanish) in many of the draws. Without
    ``momentum`` the optimizer is plain SGD. ``init_scale`` is log-uniform between 1 / ``max_init_scale`` and
    ``max_init_scale``. Raises ``ValueError`` for bounds that make no sense.
    """
    if not 0 < min_lr <= max_lr < math.inf:
        raise ValueError(f"min_lr={min_lr!r}, max_lr={max_lr!r}: need 0 < min_lr <= max_lr, both finite")
    if not 0 <= max_intrinsic_lr < 2:
        raise ValueError(f"max_intrinsic_lr={max_intrinsic_lr!r}: must be within [0, 2)")
    if not 0 <= max_momentum < 1:
        raise ValueError(f"max_momentum={max_momentum!r}: must be within [0, 1)")
    lr = draw(log_uniform(min_lr, max_lr))
    intrinsic = draw(_intrinsic_lrs(max_intrinsic_lr))
    if intrinsic == 1.0:
        power = round(math.log2(lr))  # lr * (1 / lr) == 1 exactly only if lr is a power of two
        power += (2.0**power < min_lr) - (2.0**power > max_lr)
        lr = 2.0**power if min_lr <= 2.0**power <= max_lr else lr
    speed = draw(_momenta(max_momentum)) if momentum else 0.0
    nesterov = speed > 0 and draw(st.booleans())
    dampening = 0.0 if nesterov or speed == 0 else draw(st.just(0.0) | thousandths(0, 1))
    return HyperParams(
        lr=lr,
        weight_decay=intrinsic / lr,
        momentum=speed,
        dampening=dampening,
        nesterov=nesterov,
        batch_size=draw(batch_sizes(min_value=min_batch_size, max_value=max_batch_size)),
        steps=draw(st.integers(1, max_steps)),
        init_scale=draw(log_uniform(1 / max_init_scale, max_init_scale)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def schedules(*, max_period: int = 20, min_factor: float = 0.0) -> st.SearchStrategy[ScheduleSpec]:
    """Draw a schedule: constant, drops (or rises), warm-up, cosine, random positive factors, or pauses at lr
    0.

    With ``min_factor`` > 0 no factor is 0. There are then no pauses and no cosine, which comes close to 0 in
    a long run.
    """
    if not 0 <= min_factor <= 1 or max_period < 1:
        raise ValueError(f"max_period={max_period!r}, min_factor={min_factor!r}: need >= 1 and within [0, 1]")
    periods = st.integers(1, max_period)
    positive = log_uniform(max(min_factor, 1e-3), 1e3)
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

    ``configurations`` are rows of ``ilr_check.optim.symmetry.CONFIGURATIONS``; the default is all that have a
    symmetry. lr and weight decay are not included, because they come from ``hyper_params``.
    """
    symmetric = [name for name, row in CONFIGURATIONS.items() if not row.symmetry.exception]
    names = symmetric if configurations is None else list(configurations)
    known("configurations", names, tuple(CONFIGURATIONS))
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


def _intrinsic_lrs(largest: float) -> st.SearchStrategy[float]:
    choices = [st.just(0.0)]
    if largest > 0:
        choices.append(log_uniform(min(1e-6, largest), min(largest, 0.999)))
    if largest >= 1:
        choices.append(st.just(1.0))
    if largest >= 1.001:
        choices.append(thousandths(1.001, largest))
    return st.one_of(choices)


def _momenta(largest: float) -> st.SearchStrategy[float]:
    usual = [m for m in (0.5, 0.9, 0.99) if m <= largest]
    choices = [st.just(0.0)]
    if largest >= 0.001:
        choices.append(thousandths(0.001, largest))
    if usual:
        choices.append(st.sampled_from(usual))
    return st.one_of(choices)
