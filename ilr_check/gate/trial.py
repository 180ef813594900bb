"""One built optimizer with its parameters, and where it keeps its hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from ilr_check.gate.driving import take_step
from ilr_check.gate.tags import Tags
from ilr_check.optim.contracts.contract import Name


class CannotVaryError(ValueError):
    """A hyper-parameter that the target lets nobody vary."""


class Driven(Protocol):
    """A trial needs these attributes of the subject that built it."""

    @property
    def title(self) -> str: ...
    @property
    def tags(self) -> Tags: ...
    @property
    def hyper_names(self) -> Mapping[str, Name]: ...
    @property
    def needs_closure(self) -> bool: ...
    @property
    def takes_names(self) -> bool: ...
    def group_key(self, ours: str) -> str | None: ...
    def read(self, optimizer: Any, asked: Mapping[str, Any]) -> dict[str, Any]: ...
    def handed(self, gradient: Tensor) -> Tensor: ...


class Trial:
    """One built optimizer with its parameters: hand it gradients, set hyper-parameters, step."""

    def __init__(
        self,
        subject: Driven,
        parameters: Sequence[nn.Parameter],
        optimizer: Any,
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        self.subject, self.parameters, self.optimizer = subject, list(parameters), optimizer
        self.asked = dict(asked or {})

    @property
    def hyper(self) -> dict[str, Any]:
        """Return the current hyper-parameters by our names."""
        return self.subject.read(self.optimizer, self.asked)

    def set(self, **hyper: Any) -> None:
        """Write hyper-parameters into every parameter group, as a schedule does."""
        for group in self.optimizer.param_groups:
            for ours, value in hyper.items():
                if not write_name(group, self.subject.hyper_names[ours], ours, value):
                    raise CannotVaryError(
                        f"{self.subject.title} keeps no {ours} in its param_groups, nothing can schedule it"
                    )

    def step(self, gradients: Sequence[Tensor | None], **hyper: Any) -> None:
        """Take one step with these gradients; ``hyper`` is set first."""
        if hyper:
            self.set(**hyper)
        take_step(
            self.optimizer,
            self.parameters,
            [None if g is None else self.subject.handed(g) for g in gradients],
            closure=self.subject.needs_closure,
            in_backward=self.subject.tags.steps_in_backward,
        )

    def hand(self, gradients: Sequence[Tensor | None]) -> None:
        """Set the gradients of the parameters, as a backward pass does."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else self.subject.handed(gradient)

    def values(self) -> list[Tensor]:
        """Return copies of the weights."""
        return [parameter.detach().clone() for parameter in self.parameters]


def read_name(name: Name, *sources: Mapping[str, Any]) -> Any:
    """Return the value of a hyper-parameter from the first source that has it, else its default."""
    for source in sources:
        for candidate in name.names:
            key, _, index = candidate.partition(".")
            if key in source and source[key] is not None:
                value = source[key]
                if index:
                    if not isinstance(value, (tuple, list)) or len(value) <= int(index):
                        continue
                    value = value[int(index)]
                return float(value) if isinstance(value, Tensor) and value.numel() == 1 else value
    return name.default


def entries_of(
    word: str, args: Mapping[str, Any], taken: Mapping[str, Any] | None, names: Iterable[Name]
) -> Sequence[Any]:
    """Return the entries of a tuple such as betas: the user's, the constructor's, or the family's."""
    if word in args:
        return tuple(args[word])
    if taken is not None and isinstance(taken[word].default, (tuple, list)):
        return tuple(taken[word].default)
    defaults = {
        n.partition(".")[2]: name.default for name in names for n in name.names if n.partition(".")[0] == word
    }
    return tuple(defaults[key] for key in sorted(defaults))


def write_name(group: dict[str, Any], name: Name, ours: str, value: Any) -> bool:
    """Write a hyper-parameter into a parameter group; return whether the group keeps it."""
    for candidate in name.names:
        key, _, index = candidate.partition(".")
        if key in group:
            if index:
                entries = list(group[key])
                entries[int(index)] = value
                group[key] = tuple(entries)
            elif isinstance(group[key], Tensor) and not isinstance(value, Tensor):
                group[key].fill_(value)
            else:
                group[key] = value
            return True
    return False
