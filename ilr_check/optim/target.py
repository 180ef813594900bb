"""Loads an optimizer TARGET and calls it with the hyper-parameters of a setting."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.optax_target import PREFIX, OptaxError, demand_optax, optax_optimizer, optimizer_of
from ilr_check.seeds import derive
from ilr_check.spelling import did_you_mean

FORMS = "package.module:Name or path/to/file.py:Name"
HYPER = ("lr", "weight_decay", "momentum", "dampening", "nesterov")
"""The values of a setting that a target is given, if its signature takes them."""
EDITED = ("lr", "weight_decay")
"""The keys that are set in ``param_groups`` before every step. A target must have all of them."""


class TargetError(ValueError):
    """A TARGET cannot be loaded or called. The message is one line with the value and the fix."""


@dataclass(frozen=True)
class Target:
    """An optimizer of the user: a class or a factory ``factory(params, **hyper)``, and arguments for it."""

    name: str
    factory: Callable[..., Any]
    args: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
        """Return the optimizer for these parameters. ``args`` override the values of the setting."""
        taken = _taken(self.factory)
        values = {name: getattr(hyper, name) for name in HYPER if taken is None or name in taken}
        built = self.factory(parameters, **{**values, **self.args})
        assert isinstance(built, torch.optim.Optimizer)
        return built


def load_target(
    text: str, args: Mapping[str, Any] | None = None, *, varied: Sequence[str] = EDITED
) -> Target:
    """Import a TARGET and build it once for a small tensor.

    ``varied`` are keys that its ``param_groups`` must have. Raises ``TargetError`` if any of this fails.
    """
    target = Target(text, import_target(text), dict(args or {}))
    _try(target, varied)
    return target


def import_target(text: str, *, what: str = "optimizer") -> Any:
    """Return the object that a TARGET names, without calling it. ``what`` describes the object in errors.

    Raises ``TargetError``.
    """
    if what == "optimizer" and text.startswith(PREFIX):
        return _from_optax(text)
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name.isidentifier():
        raise TargetError(f"{what} {text!r} is not a target; write it as {FORMS}")
    called = f"{what} {text!r}"
    module = _from_file(called, Path(where)) if where.endswith(".py") else _from_module(called, where)
    factory = getattr(module, name, None)
    if factory is None:
        public = {n: v for n, v in vars(module).items() if callable(v) and n[0] != "_"}
        offered = ", ".join(_offered(public, module.__name__)) or "nothing"
        hint = did_you_mean(name, public)
        raise TargetError(f"{what} {text!r}: {where} has no {name!r}; {hint}choose one of these: {offered}")
    if what == "optimizer" and not callable(factory):
        raise TargetError(
            f"{what} {text!r} is of type {type(factory).__name__}; name an optimizer class, or a function "
            "that returns an optimizer"
        )
    return factory


def _from_optax(text: str) -> Any:
    name = text.removeprefix(PREFIX)
    try:
        if ":" not in name:
            return optax_optimizer(name)
        demand_optax(name)
        return optimizer_of(import_target(name, what="optax optimizer"), name)
    except OptaxError as error:
        raise TargetError(str(error)) from error


def _offered(public: Mapping[str, Any], module: str) -> list[str]:
    """Return the optimizer classes among these names; without any, what the module itself defines."""
    optimizers = [
        name
        for name, value in public.items()
        if isinstance(value, type)
        and issubclass(value, torch.optim.Optimizer)
        and value is not torch.optim.Optimizer
    ]
    own = [name for name, value in public.items() if getattr(value, "__module__", "") == module]
    return optimizers or own or list(public)


def _from_file(called: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"{called}: there is no file {path} in {Path.cwd()}; check the path")
    # Dataclasses and pickles look up their module by name, so it needs a name that no other module has.
    name = f"ilr_check_target_{derive(path.resolve()):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise TargetError(f"{called}: importing {path} raised {_short(error)}; fix the file") from error
    return module


def _from_module(called: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise TargetError(
            f"{called}: cannot import {name!r} ({_short(error)}); install it, or write {FORMS}"
        ) from error


def _try(target: Target, varied: Sequence[str]) -> None:
    probe = nn.Parameter(torch.zeros(2, 2))
    try:
        built = target.factory([probe], **{**_defaults(target), **target.args})
    except Exception as error:
        raise TargetError(
            f"optimizer {target.name!r} cannot be built: {_short(error)}; "
            "it is called as factory(params, **hyper), and --ilr-arg adds arguments"
        ) from error
    if not isinstance(built, torch.optim.Optimizer):
        raise TargetError(
            f"optimizer {target.name!r} gave {type(built).__name__}, not a torch.optim.Optimizer; "
            "name a class or a factory of one"
        )
    fixed = [name for name in varied if any(name not in group for group in built.param_groups)]
    if fixed:
        raise TargetError(
            f"optimizer {target.name!r} has no {' and no '.join(fixed)} in its param_groups, "
            "so the laws cannot vary it; let it read these values from param_groups"
        )


def _defaults(target: Target) -> dict[str, Any]:
    taken = _taken(target.factory)
    plain = HyperParams(lr=0.1, weight_decay=0.01)
    return {name: getattr(plain, name) for name in HYPER if taken is None or name in taken}


def _taken(factory: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of the arguments that a factory takes, or ``None`` if it takes all."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
