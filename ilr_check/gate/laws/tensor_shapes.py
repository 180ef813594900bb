"""Scalars, empty, long, deep and non-contiguous tensors, and many tensors, get the right step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.exceptions import exception_words

ORDER = 24
STEPS = 2
LR, WEIGHT_DECAY = 0.2, 0.3
LARGE = "five thousand entries"
"""A prime above a kernel's block of 4096, so that every block size leaves a remainder."""
CASES: dict[str, tuple[tuple[int, ...], ...]] = {
    "a scalar": ((),),
    "one entry": ((1,),),
    "an empty tensor beside a full one": ((0,), (3,)),
    "an odd length": ((67,),),
    "four dimensions": ((2, 3, 2, 2),),
    "a transposed matrix": ((5, 3),),
    "a transposed gradient": ((5, 3),),
    LARGE: ((5003,),),
    "a hundred tensors": tuple((1 + n % 3, 2) for n in range(100)),
}

LAYOUTS: dict[str, Literal["weights", "gradients"]] = {
    "a transposed matrix": "weights",
    "a transposed gradient": "gradients",
}


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge each case; only matrices where the family accepts nothing else."""
    contract = subject.contract
    assert contract is not None
    hyper: dict[str, Any] = {"lr": LR}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAY
    for case, shapes in CASES.items():
        if contract.matrices_only and any(len(shape) != 2 for shape in shapes):
            continue
        if case == LARGE and subject.tags.state_bits:
            continue  # The state of so large a tensor is quantised, and this bound does not cover that.
        rng = circumstances.generator(case)
        starts = [rng.uniform(0.5, 2.0, size=shape) for shape in shapes]
        gradients = probing_gradients(contract, rng, shapes, STEPS)
        try:
            trajectory = record_trajectory(
                subject, starts, gradients, transposed=LAYOUTS.get(case, ""), **hyper
            )
        except Exception as error:
            words = exception_words(error)
            yield Reading(
                group=case,
                verdict="violated",
                message=words,
                diagnosis=f"{case}: the step fails with {words}",
                raised=True,
            )
            continue
        reading = compared(subject, trajectory, hyper, group=case, prefix=f"{case}: ")
        if case == LARGE and reading.verdict == "violated" and (kept := quantised(subject, shapes[0])):
            reading = Reading(group=case, verdict="inconclusive", message=kept)
        yield reading


def quantised(subject: Subject, shape: tuple[int, ...]) -> str:
    """Return that its state of so large a tensor is whole numbers, and the tags that have it judged."""
    trial = subject.start([torch.ones(shape, dtype=torch.float64, device=subject.device)])
    trial.step([trial.values()[0]])
    kept = getattr(trial.optimizer, "state", {}).get(trial.parameters[0], {})
    whole = [
        key
        for key, value in kept.items()
        if isinstance(value, torch.Tensor) and value.dtype in (torch.uint8, torch.int8) and value.numel() > 1
    ]
    told = f"the state of so large a tensor is whole numbers: {' and '.join(map(str, whole))}"
    told += "; say how it is quantised, as by --tag state_bits=8 --tag state_block=256, and a law judges it"
    return told if whole else ""


LAW = GateLaw(
    text=law_text(
        "tensor-shapes",
        "Any shape, any number",
        "Scalars, empty, odd, deep and transposed tensors, and a hundred at once, step as the reference.",
        equation="w′ = reference(w, g, …)",
        source="torch.testing's optim_db asks for no failure on them; here the values count",
        meaning="Indexing, views or a kernel's tail go wrong for this shape.",
    ),
    tier="exact",
    blind_to="tensors large enough for several threads",
    check=check,
    milder={
        "an empty tensor": ("fragility", "few models have a tensor without entries"),
        "a transposed": ("fragility", "most weights and gradients are contiguous"),
    },
    refusable={"a scalar": "few models have a parameter without axes, and the first step says so"},
    applies=needs("lr"),
)
