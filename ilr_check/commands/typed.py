"""What was typed, checked: each refusal names the value, what is allowed, and the mend."""

from __future__ import annotations

from pathlib import Path

from ilr_check.seeds import checked_seed

STANDARD_OUTPUT = Path("-")


def pairs(option: str, typed: tuple[str, ...]) -> tuple[str, ...]:
    """``name=value`` words, as they are."""
    for text in typed:
        name, equals, _ = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{option} {text!r} is not name=value; write it such as {option} lr=0.1")
    return typed


def renamed(typed: str) -> dict[str, str]:
    """``lr=alpha,weight_decay=decay`` as a mapping from our names to the target's."""
    words = tuple(word.strip() for word in typed.split(",") if word.strip())
    return dict(word.partition("=")[::2] for word in pairs("--names", words))


def one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    """A word out of a list."""
    if value not in allowed:
        raise ValueError(f"{what} {value!r} is not known; choose one of {', '.join(allowed)}")
    return value


def seed(value: int) -> int:
    """A whole number that decides every random number."""
    return checked_seed(value)


def positive(what: str, value: float | None) -> float | None:
    """A limit above nothing, or none given."""
    if value is not None and not value > 0:
        raise ValueError(f"{what} {value} is out of range; give a number above 0")
    return value
