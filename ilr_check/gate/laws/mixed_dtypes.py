"""Parameters of several dtypes in one group each get the step they would get alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.laws.switches import usable
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import Trajectory, deviation, probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts.contract import Contract, Mutation

ORDER = 23
STEPS = 3
LR, WEIGHT_DECAY = 0.3, 0.4
MIXES: dict[str, tuple[str, ...]] = {
    "float64 and float32": ("float64", "float32", "float64"),
    "three dtypes": ("float64", "float32", "bfloat16", "float64"),
}

WAYS = ("for loop", "foreach", "fused")
"""The other paths keep factors in float32, which the bound does not cover."""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge two mixes under the default and under each of loop, foreach and fused."""
    contract = subject.contract
    assert contract is not None
    ways: dict[str, Any] = {"default": {}}
    ways |= {name: switch for name, switch in usable(subject).items() if name in WAYS}
    hyper: dict[str, Any] = {"lr": LR}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAY
    for mix, dtypes in promised(subject).items():
        rng = circumstances.generator(mix)
        shapes = [(3, 4) if contract.matrices_only else (4, 3)] * len(dtypes)
        starts = [rng.uniform(0.5, 2.0, size=shape) for shape in shapes]
        gradients = probing_gradients(contract, rng, shapes, STEPS)
        for way, arguments in ways.items():
            switched = subject.with_switches(**arguments)
            trajectory = record_trajectory(switched, starts, gradients, dtype=dtypes, **hyper)
            reading = compared(switched, trajectory, hyper, group=f"{mix}, {way}", prefix=f"{mix}, {way}: ")
            if reading.verdict == "violated":
                reading = _named(reading, trajectory, contract, way, len(set(dtypes)))
            yield reading


def promised(subject: Subject) -> dict[str, tuple[str, ...]]:
    """Return the mixes of the subject's dtypes; each has the widest dtype that it computes in."""
    wide = subject.dtype
    mixes = {
        mix.replace("float64", wide): tuple(wide if name == "float64" else name for name in dtypes)
        for mix, dtypes in MIXES.items()
    }
    return {
        mix: dtypes
        for mix, dtypes in mixes.items()
        if len({*dtypes}) > 1 and {*dtypes} <= {wide, *subject.dtypes}
    }


def _applies(subject: Subject) -> str:
    return needs("lr")(subject) or ("" if promised(subject) else "it is not made for float32 weights")


def _named(reading: Reading, trajectory: Trajectory, contract: Contract, way: str, count: int) -> Reading:
    """Name the known defect of this case: decay once for each dtype."""
    repeated = Mutation(sentence="", repeat=count)
    if deviation(trajectory, contract, repeated).ratio <= 1.0:
        path = "the" if way == "default" else f"the {way}"
        return replace(
            reading, diagnosis=f"{path} path decays once per dtype group: {count} times with {count} dtypes"
        )
    return reading


LAW = GateLaw(
    text=law_text(
        "mixed-dtypes",
        "Mixed dtypes in one group",
        "In a group of several dtypes every tensor gets its own step of the reference, once.",
        equation="w′ = reference(w, g, …) for each tensor by itself",
        source="timm#2750: SGDW with foreach decayed each tensor once per (device, dtype) group",
        meaning="A loop over dtype groups does something to all tensors in each turn.",
        rivals=("decay once per dtype group",),
    ),
    tier="exact",
    blind_to="groups of one dtype",
    check=check,
    milder={"": ("fragility", "most trainings keep the weights of one optimizer in one dtype")},
    applies=_applies,
)
