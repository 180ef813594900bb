"""The settings of a behaviour record: each argument of the constructor moved, in words that need no contract.

Two versions of an optimizer are compared setting by setting, so a setting is named by the target's own words.
Only lr and weight decay are set by our names, because every other setting is played with them.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ilr_check.gate.subject import Subject
from ilr_check.gate.variation import another_value, built_with, flipped_keys, option_words

LR, WEIGHT_DECAY = 0.05, 0.12
DEFAULTS, DECAY = "default settings", "weight decay"
MANY = 4
"""A count from here on becomes 2, so that what happens at every n-th step happens within a short training."""
MAX_SETTINGS = 48
"""No released optimizer has more arguments of a kind."""
ACCEPTED_STEPS = 2


@dataclass(frozen=True)
class Setting:
    """One way to build the target."""

    words: str
    subject: Subject
    hyper: Mapping[str, float]
    """lr and weight decay, as far as they can be set."""
    whole: bool = False
    """Whether every course is played in it, and not only the plain ones."""


def settings_of(subject: Subject) -> Iterator[Setting]:
    """Yield each setting; one that the constructor refuses is yielded, too, for a refusal is behaviour.

    Every number is moved alone, and then all that are accepted together. Every switch is turned with weight
    decay on, with the first moved number that it needs (``nesterov`` needs a momentum), and with all of them.
    The words name every value: a new argument changes what "all" is, and another setting is another name.
    """
    lr = {"lr": LR} if subject.can_vary("lr") else {}
    decay = {"weight_decay": WEIGHT_DECAY} if subject.can_vary("weight_decay") else {}
    off = {"weight_decay": 0.0} if decay else {}
    yield Setting(DEFAULTS, subject, {**lr, **off}, whole=True)
    if decay:
        yield Setting(DECAY, subject, {**lr, **decay}, whole=True)
    moved: dict[str, Any] = {}
    numbers, switches = _other_values(subject)
    for name, value in list(numbers.items())[:MAX_SETTINGS]:
        one = {name: value}
        yield Setting(option_words(one), built_with(subject, one), {**lr, **off})
        if accepts(subject, {**moved, **one}, {**lr, **decay}):
            moved[name] = value
    aside = f" and {DECAY}" if decay else ""
    if moved:
        yield Setting(
            f"{option_words(moved)}{aside}", built_with(subject, moved), {**lr, **decay}, whole=True
        )
    for name, value in switches[:MAX_SETTINGS]:
        companions = [{}, *({key: moved[key]} for key in moved)]
        first = next((c for c in companions if accepts(subject, {**c, name: value}, {**lr, **decay})), {})
        for options in (first, moved) if moved != first else (first,):
            every = {**options, name: value}
            yield Setting(f"{option_words(every)}{aside}", built_with(subject, every), {**lr, **decay})
    for key, value in flipped_keys(subject).items():
        one = {key: value}
        yield Setting(f"the group key {option_words(one)}", built_with(subject, one), {**lr, **decay})


def accepts(subject: Subject, options: Mapping[str, Any], hyper: Mapping[str, float]) -> bool:
    """Return whether the target takes these arguments and steps with them."""
    ones = torch.ones(2, 2, dtype=torch.float64, device=subject.device)
    try:
        trial = built_with(subject, options).start([ones.clone()], **hyper)
        for _ in range(ACCEPTED_STEPS):
            trial.step([ones])
    except (Exception, SystemExit):  # whatever the target raises, it does not take these
        return False
    return True


def _other_values(subject: Subject) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Return another value of each number, and the other values of each switch and each choice of words."""
    numbers: dict[str, Any] = {}
    switches: list[tuple[str, Any]] = []
    for name, (value, annotation) in _arguments(subject).items():
        kinds = (annotation, *typing.get_args(annotation))
        if isinstance(value, bool):
            switches.append((name, not value))
        elif value is None and bool in kinds:
            switches.append((name, True))
        elif isinstance(value, str):
            switches += [(name, word) for word in _choices(annotation) if word != value]
        elif (other := _another(value, kinds)) is not None:
            numbers[name] = other
    if subject.taken is None:
        # A constructor that takes any keyword may drop it: a key of its groups need not be an argument.
        numbers = {name: value for name, value in numbers.items() if _arrives(subject, name, value)}
        switches = [(name, value) for name, value in switches if _arrives(subject, name, value)]
    return numbers, switches


def _arrives(subject: Subject, name: str, value: Any) -> bool:
    """Return whether the constructor names this argument, or puts it into the groups."""
    if name in subject.named_arguments:
        return True
    try:
        group = built_with(subject, {name: value}).build([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
    except Exception:  # whatever the target raises, it does not take this word
        return False
    return bool(group.get(name) == value)


def _arguments(subject: Subject) -> dict[str, tuple[Any, Any]]:
    """Return the default and the annotation of each argument that the user left alone.

    A factory that hides its arguments has the keys of its groups instead.
    """
    own = {n.partition(".")[0] for k in ("lr", "weight_decay") for n in _names(subject, k)}
    fixed = {"params", "named_params", "defaults", *own, *subject.args, *subject.switches}
    found = {
        name: (default, subject.named_arguments[name].annotation)
        for name, default in subject.signature.defaults.items()
    }
    hints = _hints(subject.factory)
    found = {name: (value, hints.get(name, annotation)) for name, (value, annotation) in found.items()}
    if subject.taken is None:
        group = subject.build([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
        for key, value in group.items():
            if key not in subject.named_arguments and isinstance(value, bool | float | int | tuple | list):
                # Nobody says what a 0 is; a share is more common than a count.
                found[key] = (value, float if value == 0 else type(value))
    return {name: told for name, told in found.items() if name not in fixed}


def _names(subject: Subject, ours: str) -> tuple[str, ...]:
    name = subject.hyper_names.get(ours)
    return () if name is None else name.names


def _hints(factory: Any) -> Mapping[str, Any]:
    """Return the annotations as types; none where they name what cannot be found."""
    try:
        called = getattr(factory, "__init__", factory) if isinstance(factory, type) else factory
        return typing.get_type_hints(called)
    except Exception:  # annotations are expressions of the target's module, which may raise anything
        return {}


def _choices(annotation: Any) -> list[str]:
    """Return the words of a ``Literal``, also inside an ``Optional``."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return [word for word in inner if isinstance(word, str)]
    return [word for part in inner for word in _choices(part)]


def _another(value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None:
        return 0.5 if float in kinds else None
    if type(value) is int:
        if float in kinds or "float" in kinds:
            return _another(float(value), kinds)
        return 2 if value >= MANY else value + 1
    if isinstance(value, float) and abs(value) >= 1.0:
        return 0.9 * value if math.isfinite(value) else None
    return another_value(value)
