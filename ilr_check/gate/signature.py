"""What the signature of an optimizer's constructor says of its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

KEYWORD = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature(NamedTuple):
    """The arguments of a factory that is called as factory(params, **hyper)."""

    first: str
    """The name of its first argument; empty where the signature is hidden."""
    named: Mapping[str, inspect.Parameter]
    """The keyword arguments that it names, without the first argument."""
    taken: Mapping[str, inspect.Parameter] | None
    """The same; ``None`` where it takes any other keyword as well, or hides its signature."""

    @property
    def defaults(self) -> dict[str, Any]:
        """The arguments that have a default value."""
        return {k: p.default for k, p in self.named.items() if not lacks_default(p)}


def lacks_default(parameter: inspect.Parameter) -> bool:
    """Return whether an argument has no default value, or torch's own mark for one that has none."""
    return parameter.default is parameter.empty or repr(parameter.default) == "<required parameter>"


def signature_of(factory: Callable[..., Any]) -> Signature:
    """Read the signature of a factory."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):
        return Signature("", {}, None)
    named = {p.name: p for p in parameters[1:] if p.kind in KEYWORD}
    hidden = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return Signature(parameters[0].name if parameters else "", named, None if hidden else named)
