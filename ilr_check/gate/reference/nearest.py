"""Find the family nearest to an unknown optimizer, and say how the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ilr_check.gate.reference.trajectory import (
    Trajectory,
    deviation,
    probing_gradients,
    record_trajectory,
)
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.explanation import explanation, measured_fact
from ilr_check.optim.contracts import contracts
from ilr_check.optim.contracts.contract import Contract, Mutation
from ilr_check.optim.contracts.reference import ReferenceImplementation
from ilr_check.optim.contracts.running import Array, plain

LRS = (0.3, 0.11, 0.17, 0.05)
SAME = 1e-9
"""A share of a step below which two entries count as equal: far above rounding, far below any defect."""
TELLING = 1e-3
"""The widest bound, as a share of a step, under which an agreement says something."""
UNKNOWN = "no known family agrees with the measured steps"
UNNAMED = "judged by the laws that need no contract"


@dataclass(frozen=True, order=True)
class Nearness:
    """How near measured steps come to a family; the nearest sorts last."""

    equal: float
    """The share of moving entries that move as the family's do."""
    closeness: float
    """Minus the length of what differs, as a share of the family's own steps."""


def nearest(subject: Subject) -> tuple[Contract | None, str]:
    """Return the family whose known mutation explains the measured steps; else none, and the nearest one.

    One mutation has to explain the steps without weight decay, and those with it unless the class is called
    as the family is: an optimizer of another name may be another algorithm.
    """
    found: dict[str, Nearness] = {}
    explained: dict[str, Mutation] = {}
    partly: list[str] = []
    whole = False
    for contract in contracts().values():
        try:
            trajectory = _recorded(subject, contract, None)
            near = nearness(trajectory, contract)
            deviation(_recorded(subject, contract, contract), contract)
        except Exception:  # whatever the target or a reference raises here, it is not this family's
            continue
        if not trajectory.moves:
            told = f"its first {len(LRS)} steps move nothing, so they tell no family"
            return None, f"{told}; {UNNAMED}, --contract NAME names one"
        found[contract.name] = near
    if not found:
        return None, f"{UNKNOWN}; {UNNAMED}, --contract NAME names one"
    ranked = sorted(
        found, key=lambda name: (found[name], len(name) if called(subject, name) else 0), reverse=True
    )
    technique = ""
    for name in ranked:
        contract = contracts()[name]
        trajectory = _recorded(subject, contract, contract)
        try:
            mutation, _ = explanation(trajectory, contract, deviation(trajectory, contract))
        except Exception:  # a mutation of the reference may not accept the target's hyper-parameters
            continue
        if mutation is None or not _tells(trajectory, contract, mutation):
            continue
        if mutation.technique:
            technique = technique or (
                f"its steps are those of {name}, except that {mutation.sentence}, which makes it another "
                f"algorithm; {UNNAMED}. If it is meant to be {name}, judge it by --contract {name}"
            )
        else:
            own = bool(called(subject, name))
            unset = any(key in contract.names and not subject.can_vary(key) for key in mutation.hyper)
            meant = not own and (unset or bool(numbers_beside(subject, name)))
            whole = not meant and _decays_so_too(subject, contract, mutation)
            if whole or own:
                explained[name] = mutation
            if whole:
                break
            partly.append(name)
    if explained:
        name = list(explained)[-1] if whole else next(iter(explained))
        return contracts()[name], (
            f"the measured steps are those of {name}, except that {explained[name].sentence}; "
            f"judged as {name}, --contract names another"
        )
    if technique:
        return None, technique
    if partly:
        return None, (
            f"{UNKNOWN}; without weight decay they are those of {partly[0]} with one change, and with it "
            f"they are not; {UNNAMED}, --contract {partly[0]} names one"
        )
    name, contract = ranked[0], contracts()[ranked[0]]
    trajectory = _recorded(subject, contract, contract)
    fact = measured_fact(trajectory, deviation(trajectory, contract))
    return None, (
        f"{UNKNOWN}; the nearest is {name}, from which it differs: {fact}. "
        f"If it is meant to be {name}, judge it by --contract {name}"
    )


def called(subject: Subject, name: str) -> str:
    """Return the name of its class, or of a base class, that ends with that of a family; empty for none.

    MyAdamW is called AdamW. A capital letter before it makes another algorithm of it: NAdamW is not.
    """
    bases = subject.factory.__mro__ if isinstance(subject.factory, type) else ()
    for word in (subject.title.rpartition(":")[2], *(base.__name__ for base in bases)):
        head = word[: -len(name)]
        if word.lower().endswith(name) and not head[-1:].isupper():
            return word
    return ""


def numbers_beside(subject: Subject, name: str) -> list[str]:
    """Return the numbers of its constructor that a family does not know."""
    known = words_of(contracts()[name])
    return [
        word
        for word, value in subject.signature.defaults.items()
        if word not in known and not isinstance(value, bool) and isinstance(value, (int, float, tuple, list))
    ]


def words_of(contract: Contract) -> set[str]:
    """Return the words for the hyper-parameters of a family, as optimizers name their arguments."""
    return {word.partition(".")[0] for name in contract.names.values() for word in name.names}


def nearness(trajectory: Trajectory, contract: Contract) -> Nearness:
    """Return how near a trajectory comes to a family's reference implementation."""
    book = ReferenceImplementation(contract, trajectory.starts, trajectory.hyper)
    equal, apart, whole = [], 0.0, 0.0
    for step in trajectory.steps:
        expected = book.step(step.gradients, weights=step.before, **step.hyper)
        for before, after, number in zip(step.before, step.after, expected, strict=True):
            meant, off = plain(number) - before, after - plain(number)
            moving = meant != 0
            equal += (
                [float(np.mean(np.abs(off[moving]) <= SAME * np.abs(meant[moving])))] if moving.any() else []
            )
            apart += float(np.sum(off**2))
            whole += float(np.sum(meant**2))
    share = float(np.sqrt(apart / whole)) if whole > 0 else np.inf
    return Nearness(float(np.mean(equal)) if equal else 0.0, -share if np.isfinite(share) else -np.inf)


def _tells(trajectory: Trajectory, contract: Contract, mutation: Mutation) -> bool:
    """Return whether the bound is narrow: a variance that cancels has a bound that fits any steps."""
    return deviation(trajectory, contract, mutation).widest <= TELLING


def _decays_so_too(subject: Subject, contract: Contract, mutation: Mutation) -> bool:
    """Return whether the mutation explains the steps with weight decay as well."""
    if not subject.with_contract(contract, {}).can_vary("weight_decay"):
        return True
    trajectory = _recorded(subject, contract, contract, weight_decay=0.12)
    return deviation(trajectory, contract, mutation).ratio <= 1.0 and _tells(trajectory, contract, mutation)


def _recorded(
    subject: Subject, contract: Contract, wanted: Contract | None, weight_decay: float = 0.0
) -> Trajectory:
    """Return a trajectory under a contract; ``wanted`` decides the gradients, ``None`` draws every entry."""
    subject = subject.with_contract(contract, {})
    rng = np.random.default_rng(11)
    shapes = [(3, 4), (3, 4)]
    starts: list[Array] = [rng.normal(size=shape) for shape in shapes]
    gradients = probing_gradients(wanted, rng, shapes, len(LRS))
    hyper: dict[str, Any] = {"lr": LRS[0]} if subject.can_vary("lr") else {}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = weight_decay
    schedule = [{"lr": lr} for lr in LRS] if subject.can_schedule("lr") else None
    return record_trajectory(subject, starts, gradients, schedule=schedule, **hyper)
