"""Find the numbers in an optimizer's groups that its constructor takes, and another legal value for each.

Without a contract nobody says what ``momentum`` or ``betas`` are. A law that needs them to differ between two
groups, or not to be zero, uses these values; what they do is never judged, only whether it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ilr_check.gate.subject import SWITCHES, Subject

TINY, SMALL = 1e-4, 1e-3
"""A number below ``TINY`` is an eps. It becomes ``SMALL``, because 0.9 of it would change no step."""
FROM_ZERO, FACTOR = 0.3, 0.9
"""A momentum, a dampening or a rate of decay may be 0.3, and a share of 0.9 or 0.999 may be smaller."""


def varied_options(subject: Subject) -> Mapping[str, Any]:
    """Return other values of its options, apart from lr and weight decay, that it accepts all together.

    The user's own arguments are left alone. The values are measured when they are first asked for.
    """
    if "variation" not in subject.measured:
        subject.measured["variation"] = _tried(subject)
    found: Mapping[str, Any] = subject.measured["variation"]
    return found


def flipped_keys(subject: Subject) -> Mapping[str, bool]:
    """Return the keys that each group must have and that are true or false, with the other value."""
    return {key: not value for key, value in subject.tags.group_keys.items() if isinstance(value, bool)}


def built_with(subject: Subject, options: Mapping[str, Any]) -> Subject:
    """Return the same target with these options for all tensors: by its constructor, or as keys of groups."""
    keys = {key: value for key, value in options.items() if key in subject.tags.group_keys}
    tags = replace(subject.tags, group_keys={**subject.tags.group_keys, **keys})
    rest = {key: value for key, value in options.items() if key not in keys}
    return replace(subject, tags=tags, switches={**subject.switches, **rest})


def without_eps_root(subject: Subject) -> Subject:
    """Return the target with no constant inside of the root, if its constructor has ``eps_root`` as optax."""
    return built_with(subject, {"eps_root": 0.0}) if "eps_root" in subject.named_arguments else subject


def option_words(options: Mapping[str, Any]) -> str:
    """Return options as text for a reader."""
    return ", ".join(f"{key}={value}" for key, value in options.items())


def _tried(subject: Subject) -> dict[str, Any]:
    group = subject.build([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
    known = {"params", *SWITCHES, *(subject.group_key(name) for name in ("lr", "weight_decay"))}
    found: dict[str, Any] = {}
    for key, value in group.items():
        # torch writes ``momentum: float = 0``; a whole number without that word may be a count.
        real = type(value) is int and "float" in str(
            getattr(subject.named_arguments.get(key), "annotation", "")
        )
        other = another_value(float(value) if real else value)
        if key in known or key in subject.args or key not in subject.named_arguments or other is None:
            continue
        changed = subject.with_switches(**found, **{key: other})
        ones = torch.ones(2, 2, dtype=torch.float64, device=subject.device)
        try:
            trial = changed.start([ones.clone()])
            trial.step([ones])
            trial.step([ones])
        except Exception:  # whatever the target raises, it does not take this value
            continue
        found[key] = other
    return found


def another_value(value: Any) -> Any:
    """Return another value of a number or of a tuple of numbers; ``None`` where no rule is safe."""
    if isinstance(value, (tuple, list)):
        others = [another_value(entry) for entry in value]
        kept = tuple(old if new is None else new for old, new in zip(value, others, strict=True))
        return kept if any(new is not None for new in others) and None not in kept else None
    if not isinstance(value, float) or abs(value) >= 1.0:
        return None
    if value == 0.0:
        return FROM_ZERO
    return SMALL if 0.0 < value < TINY else FACTOR * value
