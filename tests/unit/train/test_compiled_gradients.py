"""Compiled gradients against eager ones, because a silent error of the compiler would look like evidence
against a law.

Inductor has been seen to be: with convolutions written as products of their patches it gave another gradient
for a residual net, in float64 too, while the eager program had the right one (torch 2.13).
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ilr_check.claims.settings.subjects import BESIDE, DIGITS, Subject
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.train.compiling import compiled_or_eager, has_compiler, room_for_programs
from ilr_check.train.steps import Batch, Tally, gradient_program

LANES = 4
SUBJECTS = {"reference": DIGITS, **BESIDE}
EVERY_PUSH = ("LayerNorm", "residual CNN")
"""The cheapest net, and one of the kind that was once compiled wrongly; the others are compiled nightly."""


def gradients(subject: Subject, *, compiled: bool) -> dict[str, Tensor]:
    dtype = torch.float64
    data = load(subject.data, dtype=dtype)
    program = compiled_or_eager(gradient_program(build(subject.net, dtype=dtype), None), compiled)
    drawn = [initial_parameters(subject.net, seed, dtype=dtype) for seed in range(LANES)]
    weights = {name: torch.stack([lane[name] for lane in drawn]) for name in drawn[0]}
    into = {name: torch.zeros_like(w) for name, w in weights.items()}
    size = (LANES, subject.batch_size)
    rows = torch.randint(len(data), size, generator=torch.Generator().manual_seed(0))
    batch, tally = Batch(rows, torch.full(size, -1)), Tally.new(LANES, "cpu")
    with torch.no_grad(), room_for_programs():
        program(weights, into, tally, (data.x, data.y), batch, {})
    return into


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(subject, id=name, marks=() if name in EVERY_PUSH else pytest.mark.nightly)
        for name, subject in SUBJECTS.items()
    ],
)
def test_the_compiled_gradient_is_the_eager_one(subject: Subject) -> None:
    eager, compiled = (gradients(subject, compiled=way) for way in (False, True))
    for name, g in eager.items():
        # The worst of these nets has 3e-14 of its largest entry; what was seen to be wrong was off by 1.
        assert float((compiled[name] - g).abs().max() / g.abs().max()) < 1e-10, name
