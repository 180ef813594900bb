"""Optimizers of optax in the form of torch's, so that the gate can judge their steps.

``optax:adamw`` names a function of optax that returns a gradient transformation, ``optax:contrib.ademamix``
one of a part of optax, and ``optax:path/to/file.py:make`` or ``optax:package.module:make`` a user's own.

The steps are optax's own. What torch's interface adds to them (saved state, groups, hooks, sparse gradients)
would be that of this module, so the laws in ``NOT_OPTAX`` are not judged. jax computes with 64 bits enabled,
as the gate compares steps in float64.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ilr_check.spelling import did_you_mean

PREFIX = "optax:"
LR = "learning_rate"
"""optax's word for what ``param_groups`` of torch call ``lr``."""

WANTS_MORE = ("keyword-only argument", "must be provided")
"""What optax says where a transformation wants the loss, or a function of the weights."""

_STATE = "the state of an optax optimizer is a tree of arrays that its user saves"
_TORCH = "optax has no such interface"
_TREE = "an optax optimizer gets a gradient for every weight"
_GROUPS = "optax has no parameter groups"

NOT_OPTAX: Mapping[str, str] = {
    "resume": _STATE,
    "narrow-resume": _STATE,
    "old-state": _STATE,
    "copies": _STATE,
    "written-weights": "the weights of an optax optimizer are arguments of its step, so none are overwritten",
    "missing-gradient": _TREE,
    "alone:gradients missing": _TREE,
    "alone:late first gradients": _TREE,
    "alone:several groups": _GROUPS,
    "alone:a group": _GROUPS,
    "alone:an option of each group": _GROUPS,
    "tensor-lr": _TORCH,
    "closure": _TORCH,
    "zero-grad": _TORCH,
    "switches": _TORCH,
    "compiled-step": _TORCH,
    "grad-scaler": _TORCH,
    "schedulers": _TORCH,
    "settings:lr kept": _TORCH,
    "settings:parameters from a generator": _TORCH,
    "default-dtype": _TORCH,
    "options:weight decay acts, weight_decay_mask": "a mask says which weights decay",
    "layouts": "a jax array has no strides",
    "modes": _TORCH,
    "gradients-kept": "a jax array cannot be changed",
}
"""Laws about what optax does not have, or cases of one as ``law:group``, each with the reason."""


class OptaxError(ValueError):
    """A function of optax cannot be used; the message is one line with the value and the fix."""


class OptaxOptimizer(torch.optim.Optimizer):
    """A torch optimizer whose every step is one of an optax transformation; each group is one tree.

    The subclasses that ``optax_optimizer`` makes have the arguments of the function in their signature, with
    ``lr`` for ``learning_rate``. All arguments are kept in ``param_groups`` and read at each step, as if the
    transformation were made anew with them and its state kept.
    """

    text: ClassVar[str]
    """Its name without ``optax:``."""
    make: ClassVar[Callable[..., Any]]
    options: ClassVar[Mapping[str, Any]]
    """The arguments of ``make`` with their defaults, under torch's names."""
    _traced: ClassVar[tuple[str, ...] | None] = None
    """The numbers that are arguments of the compiled step; ``None`` before the first step."""

    def __init__(self, params: Any, **given: Any) -> None:
        unknown = sorted(set(given) - set(self.options))
        if unknown:
            raise TypeError(
                f"{type(self).__name__} takes no {unknown[0]!r}; it takes {', '.join(self.options)}"
            )
        values = {**self.options, **given}
        missing = [name for name, value in values.items() if value is inspect.Parameter.empty]
        if missing:
            raise TypeError(f"{type(self).__name__} needs {missing[0]}")
        self._states: list[Any] = []
        super().__init__(params, values)
        self._make(self.param_groups[0])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        self._states.append(None)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; weights without a gradient get zeros, as from ``jax.grad``."""
        import jax

        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
            for k, group in enumerate(self.param_groups):
                self._step(k, group)
        return loss

    def _step(self, k: int, group: Mapping[str, Any]) -> None:
        members = group["params"]
        weights = [_to_jax(p) for p in members]
        gradients = [_to_jax(torch.zeros_like(p) if p.grad is None else p.grad) for p in members]
        if self._states[k] is None:
            self._states[k] = self._make(group).init(weights)
        try:
            after, self._states[k] = self._advance(group, self._states[k], gradients, weights)
        except (TypeError, ValueError) as error:
            if not any(words in str(error) for words in WANTS_MORE):
                raise
            raise OptaxError(
                f"{PREFIX}{self.text} wants more than gradients and weights, and the gate has no "
                f"more: {str(error).splitlines()[0]}"
            ) from error
        for parameter, value in zip(members, after, strict=True):
            parameter.copy_(torch.utils.dlpack.from_dlpack(value))

    def _advance(self, group: Mapping[str, Any], *trees: Any) -> Any:
        """Call the compiled step; numbers are its arguments where the transformation allows that."""
        import jax

        options = self._options(group)
        numbers = tuple(name for name, value in options.items() if type(value) is float)
        for traced in (numbers, (LR,)) if self._traced is None else (self._traced,):
            try:
                found = self._called(options, traced, *trees)
            except jax.errors.ConcretizationTypeError:  # it branches on one of them
                continue
            type(self)._traced = traced
            return found
        type(self)._traced = ()
        return self._called(options, (), *trees)

    def _called(self, options: Mapping[str, Any], traced: tuple[str, ...], *trees: Any) -> Any:
        fixed = tuple((name, value) for name, value in options.items() if name not in traced)
        return _program(self.make, fixed)({name: options[name] for name in traced if name in options}, *trees)

    def _make(self, group: Mapping[str, Any]) -> Any:
        return type(self).make(**self._options(group))

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``make`` under its own names."""
        values = {name: group[name] for name in self.options}
        if "lr" in values and LR in inspect.signature(type(self).make).parameters:
            values[LR] = values.pop("lr")
        return {k: float(v) if isinstance(v, Tensor) else v for k, v in values.items()}


@functools.lru_cache(maxsize=512)
def _program(make: Callable[..., Any], fixed: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    import jax
    import optax

    def step(numbers: dict[str, float], state: Any, gradients: Any, weights: Any) -> tuple[Any, Any]:
        updates, state = make(**dict(fixed), **numbers).update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state

    compiled: Callable[..., Any] = jax.jit(step)
    return compiled


def _to_jax(tensor: Tensor) -> Any:
    """Return a copy of a tensor as an array; jax arrays that share memory with torch would change with it."""
    import jax

    return jax.numpy.from_dlpack(tensor.detach().cpu().contiguous().clone())


def optax_optimizer(text: str) -> type[OptaxOptimizer]:
    """Return the optimizer that ``text`` names, without ``optax:``; raises ``OptaxError``."""
    return optimizer_of(_found(text), text)


def optimizer_of(make: Callable[..., Any], text: str) -> type[OptaxOptimizer]:
    """Return the optimizer of a function that makes a transformation; raises ``OptaxError``."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError) as error:
        raise OptaxError(
            f"{PREFIX}{text} has no signature that can be read; wrap it in a function"
        ) from error
    open_ended = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = [p for p in parameters if p.kind not in open_ended]
    options = {"lr" if p.name == LR else p.name: p.default for p in named}
    if "params" in options:
        raise OptaxError(f"{PREFIX}{text} takes params, so it makes no optimizer; name a function that does")
    name = text.rpartition(":")[2].replace(".", "_")
    members = {"text": text, "make": staticmethod(make), "options": options, "__doc__": make.__doc__}
    found = type(name, (OptaxOptimizer,), {**members, "__module__": __name__})
    first = inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keyword = inspect.Parameter.KEYWORD_ONLY
    rest = [inspect.Parameter(name, keyword, default=default) for name, default in options.items()]
    found.__signature__ = inspect.Signature([first, *rest])  # type: ignore[attr-defined]
    return found


def demand_optax(text: str) -> None:
    """Raise ``OptaxError`` where jax or optax is not installed."""
    try:
        import jax  # noqa: F401
        import optax  # noqa: F401
    except ImportError as error:
        raise OptaxError(
            f"{PREFIX}{text} needs optax, which is not installed ({error}); pip install 'ilr-check[jax]'"
        ) from error


def _found(text: str) -> Callable[..., Any]:
    """Return the function of optax that makes the transformation."""
    demand_optax(text)
    import optax

    found: Any = optax
    for part in text.split("."):
        found = getattr(found, part, None)
    if not callable(found) or isinstance(found, type):
        offered = [name for name in vars(optax) if LR in _arguments(getattr(optax, name))]
        hint = did_you_mean(text, offered)
        raise OptaxError(f"{PREFIX}{text} names no function of optax; {hint}known are {', '.join(offered)}")
    return found  # type: ignore[no-any-return]


def spared(factory: Any) -> Mapping[str, str]:
    """Return the laws that a factory is spared: ``NOT_OPTAX`` for an optimizer of optax, else none."""
    optax_steps = isinstance(factory, type) and issubclass(factory, OptaxOptimizer)
    return NOT_OPTAX if optax_steps else {}


def _arguments(thing: Any) -> tuple[str, ...]:
    if not callable(thing) or isinstance(thing, type):
        return ()
    try:
        return tuple(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return ()
