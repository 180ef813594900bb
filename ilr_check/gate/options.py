"""The options of the gate are one value for the command line, Python, the decorator and pytest.

The defaults and the allowed values stand here and nowhere else; ``option_words`` has the words of the help.
This module imports no torch, so that a command line can refuse a bad value at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ilr_check.evidence.gate import SEVERITIES, Severity
from ilr_check.seeds import checked_seed
from ilr_check.spelling import did_you_mean

GateProfile = Literal["quick", "standard"]
PROFILES: tuple[GateProfile, ...] = ("quick", "standard")
DEVICES = ("auto", "cpu", "cuda")
"""``auto`` is the CPU: the laws are small float64 steps, for which a GPU is slower."""
WEIGHT_DTYPES = ("float64", "float32", "bfloat16", "float16")
"""Dtypes of weights that the gate judges."""
MEMORY_LIMIT_MIB = 4096.0
FORMER = {"claims": "laws", "memory_limit_mib": "memory_limit"}
"""Names under which an option was known before, and is still taken."""


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a judgement beside its target; a value out of range is a ``ValueError``."""

    contract: Any = "auto"
    """A family by name, ``auto``, ``FILE.py:NAME`` or ``package.module:NAME``, or a ``Contract``."""
    laws: str = "all"
    """Law ids and tiers, separated by commas; ``exact`` is the fast tier."""
    profile: GateProfile = "quick"
    seed: int = 0
    device: str = "cpu"
    dtype: str = "all"
    """Dtypes of weights that the optimizer is made for, separated by commas."""
    args: Mapping[str, Any] = {}
    """Constructor arguments."""
    declare: Mapping[str, Any] = {}
    """Intended variations of the contract."""
    names: Mapping[str, str] = {}
    """Our names of hyper-parameters to the target's own."""
    impl: Mapping[str, Any] = {}
    """Implementation switches, such as ``foreach=True``."""
    tags: Mapping[str, Any] = {}
    """The tags say how to drive the optimizer; see ``gate/tags.py``."""
    setup: Any = ""
    """A function that prepares an optimizer after it was built: a TARGET or a callable."""
    reference: Any = ""
    """Another optimizer, whose steps are compared: a TARGET, a class or a factory."""
    baseline: Path | None = None
    """The first use saves this file; later a change of what it keeps is a finding."""
    update_baseline: bool = False
    expected_failures: Any = None
    """A TOML file, or a mapping: a law or a case of it, to the reason for which it may fail."""
    fail_on: Severity = "defect"
    """The mildest severity of a violation that decides the verdict and the exit code."""
    accept_unjudged: bool = False
    """Whether laws that apply and could not be judged leave the verdict as it is."""
    allow_inconclusive: bool = False
    allow_changes: bool = False
    """Whether a change since the baseline is only shown, and leaves the verdict as it is."""
    time_limit: float | None = None
    """Seconds of CPU time for one law; ``None`` is the profile's own limit. Only the command enforces it."""
    memory_limit: float = MEMORY_LIMIT_MIB
    """MiB for the target. Only the command enforces it."""
    name: str = ""
    """The target as its user knows it; empty for the factory's own name."""

    def __post_init__(self) -> None:
        _one_of("profile", self.profile, PROFILES)
        _one_of("device", self.device, DEVICES)
        _one_of("fail_on", self.fail_on, SEVERITIES)
        checked_seed(self.seed)
        for name in ("time_limit", "memory_limit"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{_spaced(name)} {value} is out of range; give a number above 0")
        if self.update_baseline and self.baseline is None:
            raise ValueError("--update-baseline has no file to write; add --baseline FILE")
        if self.allow_changes and self.baseline is None:
            raise ValueError("--allow-changes has nothing to compare with; add --baseline FILE")
        if self.device == "auto":
            msgspec.structs.force_setattr(self, "device", "cpu")
        dtypes_named(self.dtype)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> GateOptions:
        """Return the options that a caller named; ``None`` stands for the default.

        Raises ``TypeError`` for an option that does not exist, and ``ValueError`` for a value out of range.
        """
        known = cls.__struct_fields__
        found: dict[str, Any] = {}
        for name, value in given.items():
            ours = FORMER.get(name, name)
            if ours not in known:
                hint = did_you_mean(name, known)
                raise TypeError(f"the gate has no option {name!r}; {hint}known are {', '.join(known)}")
            if value is not None:
                found[ours] = Path(value) if ours == "baseline" else value
        return cls(**found)


Function = TypeVar("Function", bound=Callable[..., Any])


def takes_options(function: Function) -> Function:
    """Show the options of ``GateOptions`` in the signature of a function that takes them as ``**options``."""
    plain = inspect.signature(function)
    own = [p for p in plain.parameters.values() if p.kind is not p.VAR_KEYWORD]
    every = [*own, *inspect.signature(GateOptions).parameters.values()]
    function.__signature__ = plain.replace(parameters=every)  # type: ignore[attr-defined]
    return function


def dtypes_named(words: str) -> tuple[str, ...]:
    """``all``, or names of dtypes separated by commas; raises ``ValueError`` for another word."""
    if words == "all":
        return WEIGHT_DTYPES
    named = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in named:
        if name not in WEIGHT_DTYPES:
            raise ValueError(
                f"dtype {name!r} is not known; choose all, or some of {', '.join(WEIGHT_DTYPES)}"
            )
    return named


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{_spaced(name)} {value!r} is not known; choose one of {', '.join(allowed)}")


def _spaced(name: str) -> str:
    return name.replace("_", " ")
