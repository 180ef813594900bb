"""Find the family of an optimizer: compare its steps with each family's reference implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ilr_check.gate.reference.conventions import conventions_of
from ilr_check.gate.reference.nearest import UNNAMED, called, nearest, numbers_beside, words_of
from ilr_check.gate.reference.trajectory import Trajectory, deviation, probing_gradients, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.variation import another_value, built_with, varied_options
from ilr_check.gate.words.explanation import explanation
from ilr_check.optim.contracts import contracts
from ilr_check.optim.contracts.contract import Contract
from ilr_check.optim.contracts.running import Array

LRS = (0.3, 0.11, 0.17, 0.05)
LATER = 4 * LRS
"""The rates of a longer course. Lookahead, for one, takes the steps of its inner optimizer at first."""
WEIGHT_DECAY = 0.12
SHAPES = ((3, 4), (3, 4))
VAGUE = 0.5
"""An agreement tells nothing if more entries than this share could be anywhere, as by the sign of zero."""
_SEVERAL = (
    f"of several algorithms of this name its steps are not those of the one that is known here; {UNNAMED}"
)


@dataclass(frozen=True, order=True)
class Agreement:
    """How far an optimizer's steps agree with a family's; the best sorts last."""

    decayed: bool
    """The agreement with weight decay, at the target's own settings."""
    settings: float
    """The share of the contract's further settings that agree."""
    plain: bool
    """The agreement without weight decay."""


def infer(subject: Subject) -> tuple[Contract | None, str]:
    """Return the family that agrees best with the measured steps and how sure that is; ``None`` for none.

    The name of the class decides between families that agree equally well. It also decides where only the
    steps with decay disagree, because the decay then has to be judged. Where neither the class nor a base
    class has a known name, the family is taken whose mutation agrees with the steps.
    """
    named = _named(subject)
    with suppress(Exception):  # whatever the target raises, the first law tells it
        _ = subject.dtype  # every family's steps are taken in it
    found = {contract.name: _agreement(subject, contract) for contract in contracts().values()}
    best = max(found.values())
    equal = [name for name, agreement in found.items() if agreement == best]
    promised = _decoupled_by_name(subject, found)
    if promised and best.decayed and all(contracts()[name].decay.where == "gradient" for name in equal):
        return contracts()[promised], (
            f"its name says {promised}, and its steps agree with {equal[0]}, which decays in the gradient; "
            f"judged as {promised}, --contract names another"
        )
    if best.decayed and best.settings < 1.0 and (named is None or not found[named.name].decayed):
        strange = {name: foreign_options(subject, contracts()[name]) for name in equal}
        if all(strange.values()):
            name, options = next(iter(strange.items()))
            return None, f"at its default settings its steps are those of {name}; {_beside(name, options)}"
        equal = sorted(
            (name for name in equal if not strange[name] and _is_likely(subject, name, named)),
            key=lambda name: _strangeness(subject, contracts()[name]),
        )
        if not equal and named is None:
            name = max(found, key=lambda name: found[name])
            return None, (
                f"at its default settings its steps are those of {name}, and at others they are not; "
                f"{UNNAMED}, --contract {name} names one"
            )
    several = named is not None and named.several and best.decayed and found[named.name].settings < 1.0
    if several and named is not None and not _wholly(subject, named.name):
        return None, f"its name says {named.name}, and {_SEVERAL}, --contract {named.name} names one"
    if best.decayed and equal:
        chosen = named.name if named is not None and found[named.name].decayed else equal[0]
        if options := _later_options(subject, contracts()[chosen]):
            return None, (
                f"its first {len(LRS)} steps are those of {chosen} and later ones are not; "
                f"{_beside(chosen, options)}"
            )
        if named is None and not _on_vectors(subject, contracts()[chosen]):
            return (
                None,
                f"its steps of matrices are those of {chosen}, and those of vectors are not; {UNNAMED}",
            )
        others = [name for name in equal if name != chosen]
        note = f"measured steps agree with {chosen} within rounding"
        if others:
            note += f", and equally with {', '.join(others)}"
        if named is not None and chosen == named.name and best > found[chosen]:
            note += f" at its own settings; at others with {equal[0]}"
        return contracts()[chosen], note
    if named is not None:
        if found[named.name].plain:
            return named, f"its name and the steps without weight decay say {named.name}; decay does not"
        trying = replace(subject, contract=named)
        if options := foreign_options(trying, named):
            known = nearest(trying)[0] is named or _by_conventions(trying)
            if not known:
                told = f"its name says {named.name}, and no measured step agrees"
                return None, f"{told}; {_beside(named.name, options)}"
        if named.several and not _by_conventions(trying):
            return None, f"its name says {named.name}, and {_SEVERAL}, --contract {named.name} names one"
        return named, f"only its name says {named.name}: no measured step agrees with a reference"
    if best.plain:
        chosen, why = _with_wrong_decay(subject, equal)
        if not chosen:
            return None, (
                f"the steps without weight decay agree with {' and '.join(equal)}, and those with it with no "
                f"known form of decay; {UNNAMED}, --contract {equal[0]} judges it as one"
            )
        note = f"the steps without weight decay agree with {' and '.join(equal)}; those with it do not"
        return contracts()[chosen], f"{note}; judged as {chosen}{why}, --contract names another"
    contract, note = nearest(subject)
    if contract is not None and (options := _foreign_arguments(subject, contract, len(LRS))):
        return None, f"{note.partition('; judged as')[0]}; {_beside(contract.name, options)}"
    return contract, note


def _beside(name: str, options: Sequence[str]) -> str:
    """Say which numbers of its own make it no member of a family."""
    return (
        f"it has {', '.join(options)} beside, which change its steps and which {name} does not know; "
        f"{UNNAMED}, --contract {name} judges it as one"
    )


def _is_likely(subject: Subject, name: str, named: Contract | None) -> bool:
    """Return whether a family that agrees at the default settings alone may judge a class of another name."""
    if _wholly(subject, name):
        return True
    return named is None and bool(called(subject, name) or not numbers_beside(subject, name))


def _by_conventions(subject: Subject) -> bool:
    """Return whether several conventions of its family together explain its steps."""
    try:
        return bool(conventions_of(subject))
    except Exception:  # whatever the target raises, it does not follow them
        return False


def _later_options(subject: Subject, contract: Contract) -> tuple[str, ...]:
    """Return the numbers that only act after the first steps, where those are a family's and later ones are
    not."""
    decay = WEIGHT_DECAY if subject.with_contract(contract, {}).can_vary("weight_decay") else 0.0
    if _agrees(subject.with_contract(contract, subject.declared), contract, {}, decay, LATER):
        return ()
    return _foreign_arguments(subject, contract, len(LATER))


def _on_vectors(subject: Subject, contract: Contract) -> bool:
    """Return whether the steps of a vector are the family's as well, where numbers of its own could tell."""
    if contract.matrices_only or subject.matrices_only or not numbers_beside(subject, contract.name):
        return True
    return _agrees(subject.with_contract(contract, subject.declared), contract, {}, 0.0, shapes=((5,), (5,)))


def foreign_options(subject: Subject, contract: Contract, steps: int = len(LRS)) -> tuple[str, ...]:
    """Return the numbers of an optimizer that a family does not have and that act within some steps.

    A PID controller is SGD until it gets a momentum. No other setting of SGD agrees with it, and it has
    numbers of its own that act: it is no SGD with a defect.
    """
    moved, known = varied_options(subject), words_of(contract)
    own = {key: value for key, value in moved.items() if key in known}
    foreign = {key: value for key, value in moved.items() if key not in known}
    try:
        acts = foreign and _steps_with(subject, own, steps) != _steps_with(subject, moved, steps)
    except Exception:  # whatever the target raises, nothing is known of these numbers
        return ()
    return tuple(foreign) if acts else ()


def _foreign_arguments(subject: Subject, contract: Contract, steps: int) -> tuple[str, ...]:
    """Return the numbers of the constructor that a family does not have and that act within some steps, also
    those that are in no group."""
    found = []
    for word, value in subject.signature.defaults.items():
        if word in words_of(contract) or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        other = value + 1 if isinstance(value, int) else another_value(value)
        try:
            acts = other is not None and _steps_with(subject, {}, steps) != _steps_with(
                subject, {word: other}, steps
            )
        except Exception:  # whatever the target raises, nothing is known of this number
            continue
        found += [word] if acts else []
    return tuple(found)


def _wholly(subject: Subject, name: str) -> bool:
    """Return whether a family explains the steps at every setting, each by at most one known mutation."""
    contract = contracts()[name]
    trying = replace(subject, contract=contract)
    for setting in trying.settings:
        trajectory = _trajectory_of(trying, contract, setting, WEIGHT_DECAY)
        found = deviation(trajectory, contract)
        if found.ratio > 1.0 and explanation(trajectory, contract, found)[0] is None:
            return False
    return True


def _strangeness(subject: Subject, contract: Contract) -> tuple[int, int]:
    """Return minus the number of arguments with the family's own default, and the number that are missing.

    Plain SGD is schedule-free with beta = 0, and a PID controller without momentum.
    """
    known, defaults = subject.named_arguments, subject.signature.defaults
    usual = sum(
        word in defaults and defaults[word] == name.default
        for name in contract.names.values()
        for word in name.names
    )
    words = {key: [word.partition(".")[0] for word in name.names] for key, name in contract.names.items()}
    return -usual, sum(not any(word in known for word in found) for found in words.values())


def _steps_with(subject: Subject, options: Mapping[str, Any], steps: int) -> list[list[float]]:
    """Return the weights after each of some steps with these options."""
    rng = np.random.default_rng(5)
    trial = built_with(subject, options).start([subject.tensor(rng.normal(size=(3, 4)))])
    rows = []
    for _ in range(steps):
        trial.step([subject.tensor(rng.normal(size=(3, 4)))])
        rows.append(trial.values()[0].double().cpu().numpy().ravel().tolist())
    return rows


def _named(subject: Subject) -> Contract | None:
    """Return the family with the name of the class, or of a base class by the same author."""
    kind = subject.factory
    if not isinstance(kind, type):
        kind = type(subject.build([torch.nn.Parameter(torch.ones(2, 2))]))
    own = [base.__name__ for base in kind.__mro__ if not base.__module__.startswith("torch.")]
    words = [word.lower() for word in (subject.title.rpartition(":")[2], *own)]
    every = [form for word in words for form in (word, word.removeprefix("sgd"))]  # SGDScheduleFree
    return next((contracts()[form] for form in every if form in contracts()), None)


def _decoupled_by_name(subject: Subject, found: Mapping[str, Agreement]) -> str:
    """Return the family with decoupled decay that its name begins with, if another agrees better.

    Without momentum SGD and SGDW are the same, so decay alone does not tell them apart.
    """
    best = max(found.values())
    word = subject.title.rpartition(":")[2].lower()
    names = [
        name
        for name in ("adamw", "sgdw")
        if word.startswith(name) and found[name].plain and found[name] < best
    ]
    return next(iter(names), "")


def _with_wrong_decay(subject: Subject, equal: Sequence[str]) -> tuple[str, str]:
    """Return which of these families judges an optimizer with a wrong decay, and why that one."""
    # MyAdamW with a wrong decay is to be judged as AdamW: of the families left, the longest in its name.
    inside = [name for name in equal if called(subject, name)]  # AdamS is not called Adam
    if inside:
        longest = max(inside, key=len)
        return longest, f", as {called(subject, longest)} says"
    for name in equal:
        contract = contracts()[name]
        trying = replace(subject, contract=contract)
        trajectory = _trajectory_of(trying, contract, {}, WEIGHT_DECAY)
        mutation, _ = explanation(trajectory, contract, deviation(trajectory, contract))
        if mutation is not None:
            return name, f", with a known change that explains every measured step ({mutation.sentence})"
    return "", ""


def _agreement(subject: Subject, contract: Contract) -> Agreement:
    trying = subject.with_contract(contract, subject.declared)
    try:
        settings = trying.settings
        decays = trying.can_vary("weight_decay") or "weight_decay" not in contract.names
    except Exception:  # the user's own constructor: whatever it raises, it is not this family's
        return Agreement(False, 0.0, False)
    plain = _agrees(trying, contract, {}, 0.0)
    decayed = plain and decays and _agrees(trying, contract, {}, WEIGHT_DECAY)
    more = [_agrees(trying, contract, setting, WEIGHT_DECAY) for setting in settings if setting and decayed]
    return Agreement(decayed, float(np.mean(more)) if more else 0.0, plain)


def _agrees(
    subject: Subject,
    contract: Contract,
    setting: Mapping[str, Any],
    weight_decay: float,
    lrs: Sequence[float] = LRS,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
) -> bool:
    try:
        trajectory = _trajectory_of(subject, contract, setting, weight_decay, lrs, shapes)
        found = deviation(trajectory, contract)
        told = np.isfinite(found.widest) and found.vague < VAGUE
        return bool(trajectory.moves and found.ratio <= 1.0 and told)
    except Exception:  # a family's reference may not accept the hyper-parameters of another family
        return False


def _trajectory_of(
    subject: Subject,
    contract: Contract,
    setting: Mapping[str, Any],
    weight_decay: float,
    lrs: Sequence[float] = LRS,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
) -> Trajectory:
    rng = np.random.default_rng(7)
    starts = [rng.normal(size=shape) for shape in shapes]
    gradients = probing_gradients(contract, rng, shapes, len(lrs))
    if contract.gradients == "any" and shapes is SHAPES:
        # AdamP is AdamW but where weights and gradient are orthogonal.
        gradients = [[row[0], _orthogonal(row[1], starts[1])] for row in gradients]
    hyper: dict[str, Any] = {**setting, "lr": lrs[0]}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = weight_decay
    schedule = [{"lr": lr} for lr in lrs] if subject.can_schedule("lr") else None
    return record_trajectory(subject, starts, gradients, schedule=schedule, **hyper)


def _orthogonal(gradient: Array | None, weights: Array) -> Array:
    """Return the part of a gradient that is orthogonal to the weights, row by row."""
    assert gradient is not None
    along = (gradient * weights).sum(axis=1, keepdims=True) / (weights**2).sum(axis=1, keepdims=True)
    return np.asarray(gradient - along * weights)
