"""Numbers that leave the range of relative rounding are detected, forwards and backwards, and so are narrower
dtypes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ilr_check.nets.ranges import PrecisionWatch, RangeWatch

TINY, HUGE = 1e-30, 1e33


def number(value: float) -> Tensor:
    return torch.full((2, 2), value, dtype=torch.float32)


def gradient(x: float, loss: Callable[[Tensor], Tensor], *, times: int = 1) -> None:
    w = number(x).requires_grad_()
    value = loss(w)
    for _ in range(times):
        (value,) = torch.autograd.grad(value.sum(), w, create_graph=True)


LEAVE: dict[str, Callable[[], object]] = {
    "a subnormal product": lambda: number(TINY) * 1e-9,
    "a product that is flushed to zero": lambda: number(TINY) * TINY,
    "a quotient that is flushed to zero": lambda: number(TINY) / HUGE,
    "a square that is flushed to zero": lambda: number(TINY).square(),
    "a product in place": lambda: number(TINY).mul_(TINY),
    "terms of a matrix product": lambda: number(TINY) @ number(1e-12),
    "overflow": lambda: number(HUGE) * 10.0,
    "a first backward pass": lambda: gradient(TINY, lambda w: w * 1e-9),
    "a second backward pass": lambda: gradient(1e-8, lambda w: w * w * 1e-24 * w, times=2),
}
STAY: dict[str, Callable[[], object]] = {
    "zeros": lambda: number(0.0) * number(TINY) @ number(TINY),
    "a product of opposite sizes": lambda: number(TINY) * 1e25 @ number(1.0),
    "two backward passes": lambda: gradient(0.5, lambda w: (w @ w).tanh(), times=2),
    "whole numbers": lambda: torch.arange(3) * 0,
}


@pytest.mark.parametrize("name", LEAVE)
def test_what_leaves_the_range_is_seen(name: str) -> None:
    with RangeWatch() as watch:
        LEAVE[name]()
    assert watch.left


@pytest.mark.parametrize("name", STAY)
def test_what_stays_is_left_alone(name: str) -> None:
    with RangeWatch() as watch:
        STAY[name]()
    assert not watch.left


CASTS: dict[str, tuple[Callable[[Tensor], Tensor], torch.dtype]] = {
    "none": (torch.exp, torch.float64),
    "to float32 and back": (lambda x: x.float().exp().double(), torch.float32),
    "a softmax in float32": (lambda x: x.softmax(0, dtype=torch.float32).double(), torch.float32),
    "bfloat16 in between": (lambda x: x.float().bfloat16().double(), torch.bfloat16),
    "whole numbers": (lambda x: x + torch.arange(3).float(), torch.float64),
}


@pytest.mark.parametrize("name", CASTS)
def test_the_narrowest_dtype_on_the_way_is_seen(name: str) -> None:
    function, narrowest = CASTS[name]
    with PrecisionWatch(torch.float64) as watch:
        function(torch.ones(3, dtype=torch.float64))
    assert watch.eps == torch.finfo(narrowest).eps
