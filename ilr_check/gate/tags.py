"""Tags: what an optimizer says about itself, so that the gate drives it as it wants to be driven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ilr_check.spelling import did_you_mean

ARITHMETICS = ("float32", "bfloat16")
ROUNDINGS = ("nearest", "stochastic", "kahan", "master")


@dataclass(frozen=True, kw_only=True)
class Tags:
    """What an optimizer declares; ``None`` means that the gate finds out by trying.

    A class declares its tags in a mapping ``ilr_check_tags``; a user adds ``--tag name=value``.
    """

    needs_closure: bool | None = None
    """Its step wants a closure, which it may call several times."""
    train_mode: bool | None = None
    """``.train()`` is called before the first step."""
    named_parameters: bool | None = None
    """It takes pairs of a name and a parameter."""
    group_keys: Mapping[str, Any] = field(default_factory=dict)
    """Keys that each parameter group must have, with the values that the gate gives them."""
    matrices_only: bool | None = None
    """It refuses tensors that are not matrices."""
    entrywise: bool | None = None
    """``False``: entries of a tensor interact."""
    steps_in_backward: bool = False
    """It steps while ``backward`` runs, in hooks on its parameters."""
    arithmetic: str | None = None
    """The dtype of its arithmetic, where that is narrower than its weights."""
    rounding: str | None = None
    """How it rounds weights that are narrower than its arithmetic."""
    state_bits: int | None = None
    """The number of bits of an entry of its state."""
    state_block: int | None = None
    """The number of entries of its state that share one scale."""
    tensor_lr: bool | None = None
    """``False``: its lr must be a number."""
    deterministic: bool | None = None
    """``False``: two equal trainings differ."""
    capturable_only: bool = False
    """It runs with ``capturable=True`` only."""


KNOWN = tuple(item.name for item in fields(Tags))
WORDS = {"arithmetic": ARITHMETICS, "rounding": ROUNDINGS}
NUMBERS = ("state_bits", "state_block")


def tags_of(factory: Callable[..., Any], typed: Mapping[str, Any]) -> Tags:
    """Return the tags of a class or a factory; tags that its user typed override them.

    Raises ``ValueError`` for a tag or a value that is not known.
    """
    declared = getattr(factory, "ilr_check_tags", None) or {}
    if not isinstance(declared, Mapping):
        raise ValueError(
            f"ilr_check_tags is {type(declared).__name__}; write a mapping of tags to values, "
            'such as {"needs_closure": True}'
        )
    return Tags(**{name: _checked(name, value) for name, value in {**declared, **typed}.items()})


def _checked(name: str, value: Any) -> Any:
    if name not in KNOWN:
        raise ValueError(f"unknown tag {name!r}; {did_you_mean(name, KNOWN)}known are {', '.join(KNOWN)}")
    if name == "group_keys":
        return _group_keys(value)
    if name in WORDS:
        if value not in WORDS[name]:
            raise ValueError(f"tag {name}={value!r} is not known; choose one of {', '.join(WORDS[name])}")
        return value
    if name in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"tag {name}={value!r} must be a whole number from 1, such as {name}=8")
        return value
    truth = {"true": True, "false": False}.get(str(value).lower())
    if truth is None:
        raise ValueError(f"tag {name}={value!r} must be True or False")
    return truth


def _group_keys(value: Any) -> dict[str, Any]:
    """Return keys with their values from one key, a list or a mapping; a missing value is ``True``."""
    if isinstance(value, Mapping):
        return dict(value)
    keys = value.split(",") if isinstance(value, str) else value
    if isinstance(keys, (list, tuple, set)) and all(isinstance(key, str) and key.strip() for key in keys):
        return {key.strip(): True for key in keys}
    raise ValueError(
        f"tag group_keys={value!r} must be keys, or a mapping of keys to values, such as "
        "group_keys={'use_muon': True}"
    )
