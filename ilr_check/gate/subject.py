"""The subject knows how to build the judged optimizer and which hyper-parameters a law may vary."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ilr_check.gate.driving import arranged, layout_copy, prepare, take_step
from ilr_check.gate.options import WEIGHT_DTYPES
from ilr_check.gate.precision import arithmetic_unit, widest_dtype
from ilr_check.gate.signature import Signature, lacks_default, signature_of
from ilr_check.gate.tags import Tags
from ilr_check.gate.trial import CannotVaryError, Trial, entries_of, read_name, write_name
from ilr_check.gate.words.exceptions import exception_words
from ilr_check.optim.contracts.contract import Contract, Name
from ilr_check.optim.optax_target import spared

FORM = "it is called as factory(params, **hyper)"
BASIC = {
    "lr": Name(default=0.1, names=("lr", "learning_rate")),
    "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
}
"""These hyper-parameters are varied where there is no contract."""


class SubjectError(ValueError):
    """The target cannot be built; the message is one line and states the fix."""


SWITCHES = ("foreach", "fused", "capturable", "differentiable")
"""Arguments that choose how torch computes a step, and leave the step as it is."""


@dataclass(frozen=True)
class Subject:
    """An optimizer class or factory, its contract, and the arguments that its user gave."""

    factory: Callable[..., Any]
    contract: Contract | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """Our name of a hyper-parameter, mapped to the target's own name."""
    declared: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    """Implementation switches, such as ``foreach=True``."""
    device: str = "cpu"
    name: str = ""
    dtypes: tuple[str, ...] = WEIGHT_DTYPES
    """Dtypes of weights that it is made for. The laws of rounding use these; the others use ``dtype``."""
    tags: Tags = field(default_factory=Tags)
    setup: Callable[[Any], Any] | None = None
    """The user's function for an optimizer after it was built."""
    measured: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Measurements of other modules by name, so that each module drives the target only once."""

    @cached_property
    def title(self) -> str:
        """Return the name under which its user knows the target."""
        if self.name:
            return self.name
        module, name = getattr(self.factory, "__module__", ""), getattr(self.factory, "__qualname__", "")
        return f"{module}:{name}" if module and name else repr(self.factory)

    @cached_property
    def signature(self) -> Signature:
        """Return what the factory's signature says of its arguments."""
        return signature_of(self.factory)

    @property
    def taken(self) -> Mapping[str, inspect.Parameter] | None:
        """Return the keyword arguments of the factory; ``None`` where it takes any or hides them."""
        return self.signature.taken

    @property
    def named_arguments(self) -> Mapping[str, inspect.Parameter]:
        """Return the keyword arguments that the factory names, also where it takes any other as well."""
        return self.signature.named

    @cached_property
    def hyper_names(self) -> Mapping[str, Name]:
        """Return the hyper-parameters by our names, with the user's own names for the target first."""
        known = dict(BASIC if self.contract is None else self.contract.names)
        for ours, theirs in self.names.items():
            old = known.get(ours)
            known[ours] = Name(default=None if old is None else old.default, names=(theirs,))
        return known

    @cached_property
    def settings(self) -> tuple[Mapping[str, Any], ...]:
        """Return the contract's settings that this target can take and that its user did not fix."""
        if self.contract is None:
            return ({},)
        found = (
            setting
            for setting in self.contract.settings
            if not any(self._fixed(name) for name in setting)
            and self.can_vary(*setting)
            and self.words(setting) not in self.refused
        )
        return tuple(found) or ({},)

    @cached_property
    def refused(self) -> Mapping[str, str]:
        """Return each setting of the contract that the target's constructor refuses, with the reason."""
        found = {}
        for setting in () if self.contract is None else self.contract.settings:
            if setting and self.can_vary(*setting):
                try:
                    self.build([nn.Parameter(torch.ones(2, 2))], **setting)
                except SubjectError as error:
                    found[self.words(setting)] = str(error)
        return found

    @cached_property
    def unwanted(self) -> Mapping[str, str]:
        """Return lr or weight decay where the constructor refuses any, with the reason: relative steps."""
        found = {}
        for ours, name in self.hyper_names.items():
            word = self._keyword(name) if ours in BASIC and self.taken is not None else None
            if word in self.signature.defaults and self.signature.defaults[word] is None:
                try:
                    self.build([nn.Parameter(torch.ones(2, 2))], **{ours: 0.1})
                except SubjectError as error:
                    found[ours] = str(error)
        return found

    @cached_property
    def exceptions(self) -> Mapping[str, str]:
        """Return laws, or cases of one as ``law:group``, that it does not promise, each with the reason."""
        return {**({} if self.contract is None else self.contract.exceptions), **spared(self.factory)}

    @cached_property
    def fixed_names(self) -> frozenset[str]:
        """Return the hyper-parameters that the user's arguments fix."""
        return frozenset(name for name in self.hyper_names if self._fixed(name))

    def can_schedule(self, name: str) -> bool:
        """Return whether a schedule can change a hyper-parameter in ``param_groups``."""
        if name not in self.hyper_names or name in self.unwanted:
            return False
        return any(n.partition(".")[0] in self._probed_group for n in self.hyper_names[name].names)

    def words(self, setting: Mapping[str, Any]) -> str:
        """Return a setting as text for a reader."""
        return ", ".join(f"{k}={v}" for k, v in setting.items()) or "default settings"

    @cached_property
    def differentiable(self) -> bool:
        """Return whether autograd records the step, by ``differentiable=True``."""
        return bool({**self.args, **self.switches}.get("differentiable"))

    @cached_property
    def climbs(self) -> bool:
        """Return whether the target climbs, by ``maximize=True``."""
        return bool({**self.args, **self.switches}.get("maximize"))

    def parameters(self, tensors: Iterable[Tensor | nn.Parameter]) -> list[nn.Parameter]:
        """Return parameters over these tensors, without a copy.

        A differentiable step is recorded by autograd and changes tensors in place. torch refuses that for
        leaves that need a gradient; for leaves that need none the arithmetic is the same.
        """
        needs = not self.differentiable
        return [t if isinstance(t, nn.Parameter) else nn.Parameter(t, requires_grad=needs) for t in tensors]

    def handed(self, gradient: Tensor) -> Tensor:
        """Return a copy of a gradient for the target: negated where it climbs, sparse where it must be.

        The laws speak of descent. An optimizer that climbs along -g descends along g, bit for bit.
        """
        copied = layout_copy(-gradient if self.climbs else gradient)
        return copied.to_sparse() if self.contract is not None and self.contract.sparse else copied

    def with_contract(self, contract: Contract | None, declared: Mapping[str, Any]) -> Subject:
        """Return the same target under a contract and declared variations of it."""
        other = replace(self, contract=contract, declared=dict(declared))
        if contract is not None and not contract.sparse and not contract.closure and "dtype" in self.__dict__:
            other.__dict__["dtype"] = self.dtype  # it is measured by steps, which need no contract
        other.measured.update({key: self.measured[key] for key in ("service",) if key in self.measured})
        return other

    def with_switches(self, **switches: Any) -> Subject:
        """Return the same target with implementation switches."""
        return replace(self, switches={**self.switches, **switches})

    def can_vary(self, *names: str) -> bool:
        """Return whether each of these hyper-parameters can be set, by argument or in ``param_groups``."""
        return all(name in self._variable for name in names)

    def drops(self, ours: str) -> bool:
        """Return whether the constructor takes any keyword, and no group keeps this hyper-parameter."""
        return self.taken is None and self.group_key(ours) is None

    def start(self, tensors: Iterable[Tensor | nn.Parameter], **hyper: Any) -> Trial:
        """Build the optimizer over these tensors without a copy; ``hyper`` uses our names."""
        parameters = self.parameters(tensors)
        return Trial(self, parameters, self.build(parameters, **hyper), hyper)

    def build(self, parameters: Any, **hyper: Any) -> torch.optim.Optimizer:
        """Build the optimizer over parameters or groups; raises ``CannotVaryError``, ``SubjectError``."""
        arguments, edits = self.arguments(hyper)
        given = arranged(parameters, self.tags, named=self.takes_names)
        # A constructor may write into the groups that it gets, as torch's does.
        keys = [set(group) if isinstance(group, Mapping) else () for group in given]
        capturable = {"capturable": True} if self.tags.capturable_only else {}
        every = {**self.args, **capturable, **self._required, **arguments, **self.switches}
        try:
            built = prepare(self.factory(given, **every), self.tags, self.setup)
        except Exception as error:
            raise SubjectError(
                f"{self.title} cannot be built: {exception_words(error)}; {FORM}, and --arg adds arguments"
            ) from error
        groups = getattr(built, "param_groups", ()) if edits else ()
        for group, own in zip(groups, keys if len(keys) == len(groups) else [()] * len(groups), strict=True):
            for ours, value in edits.items():
                if self.group_key(ours) not in own:
                    write_name(group, self.hyper_names[ours], ours, value)
        return built  # type: ignore[no-any-return]

    @cached_property
    def dtype(self) -> str:
        """Return the widest dtype of weights that it computes in; most laws use weights of it."""
        return widest_dtype(self)

    def tensor(self, numbers: Any) -> Tensor:
        """Return numbers as a tensor of ``dtype``."""
        wide = torch.as_tensor(numbers, dtype=torch.float64, device=self.device)
        return wide.to(getattr(torch, self.dtype)).clone()

    def rounded(self, numbers: Any) -> Any:
        """Return numbers, rounded to weights of ``dtype``, as a float64 array."""
        return self.tensor(numbers).double().cpu().numpy()

    @cached_property
    def unit(self) -> float:
        """Return the unit roundoff of its arithmetic, as measured or declared."""
        return arithmetic_unit(self)

    def group_key(self, ours: str) -> str | None:
        """Return the target's own key of a hyper-parameter in its groups; ``None`` where it has none."""
        name = self.hyper_names.get(ours)
        group = self._probed_group
        return None if name is None else next((n for n in name.names if n in group), None)

    @cached_property
    def _probed_group(self) -> Mapping[str, Any]:
        return self.build([nn.Parameter(torch.ones(2, 2))]).param_groups[0]

    @cached_property
    def takes_names(self) -> bool:
        """Return whether its constructor wants named parameters, by its tag or by its first argument."""
        if self.tags.named_parameters is not None:
            return self.tags.named_parameters
        return self.signature.first.startswith("named_param")

    @cached_property
    def needs_closure(self) -> bool:
        """Return whether it steps with a closure only: by its contract, by its tag, or by a trial."""
        if self.contract is not None and self.contract.closure:
            return True
        if self.tags.needs_closure is not None:
            return self.tags.needs_closure
        return not self._steps(closure=False) and self._steps(closure=True)

    @cached_property
    def matrices_only(self) -> bool:
        """Return whether it accepts matrices only: by its contract, by its tag, or by a trial."""
        if self.contract is not None and self.contract.matrices_only:
            return True
        if self.tags.matrices_only is not None:
            return self.tags.matrices_only
        closure = self.needs_closure
        return not self._steps((3,), closure=closure) and self._steps(closure=closure)

    def _steps(self, shape: tuple[int, ...] = (2, 2), *, closure: bool) -> bool:
        """Return whether a step over one tensor of this shape succeeds."""
        parameters = self.parameters([torch.ones(shape)])
        try:
            take_step(self.build(parameters), parameters, [torch.ones(shape)], closure=closure)
        except Exception:  # whatever the target raises, it cannot step in this way
            return False
        return True

    def read(
        self, optimizer: Any, asked: Mapping[str, Any] | None = None, *, group: int = 0
    ) -> dict[str, Any]:
        """Return hyper-parameters by our names: the optimizer's, else its defaults, else the contract's.

        ``asked`` is what it was built with, beside the user's own arguments.
        """
        options = optimizer.param_groups[group]
        found: dict[str, Any] = {}
        for ours, name in self.hyper_names.items():
            if name.asked:
                found[ours] = (asked or {}).get(ours, read_name(name, self.args))
            else:
                found[ours] = read_name(name, options, self.args, self.signature.defaults)
        return {**found, **self.declared}

    @cached_property
    def _required(self) -> dict[str, Any]:
        """Return values for hyper-parameters that the factory requires."""
        found: dict[str, Any] = {}
        for word, parameter in self.named_arguments.items():
            if lacks_default(parameter) and word not in self.args:
                for name in self.hyper_names.values():
                    if word in name.names and name.default is not None:
                        found[word] = name.default
        return found

    def _fixed(self, ours: str) -> bool:
        name = self.hyper_names.get(ours)
        return name is not None and any(n.partition(".")[0] in self.args for n in name.names)

    @cached_property
    def _variable(self) -> frozenset[str]:
        """Return the hyper-parameters that can be set; build the optimizer where the factory hides them."""
        found = set()
        for ours, name in self.hyper_names.items():
            by_argument = self._keyword(name) is not None if self.taken is not None else self._tried(name)
            if by_argument or any(n.partition(".")[0] in self._probed_group for n in name.names):
                found.add(ours)
        return frozenset(found - set(self.unwanted))

    def _keyword(self, name: Name) -> str | None:
        """Return the constructor's name of a hyper-parameter."""
        if self.taken is None:
            return self._hidden.get(name.names)
        return next((n for n in name.names if n.partition(".")[0] in self.taken), None)

    @cached_property
    def _hidden(self) -> dict[tuple[str, ...], str | None]:
        return {}

    def _tried(self, name: Name) -> bool:
        """Return whether a factory that takes any keyword can be built with each of these."""
        if name.names in self._hidden:
            return self._hidden[name.names] is not None
        probe = nn.Parameter(torch.ones(2, 2))
        for candidate in self._candidates(name):
            keyword, _, index = candidate.partition(".")
            value = name.default
            if index:
                value = (0.9, 0.999) if keyword == "betas" else (name.default,) * 2
            try:
                self.factory([probe], **{**self.args, keyword: value, **self.switches})
            except Exception:
                continue
            self._hidden[name.names] = candidate
            return True
        self._hidden[name.names] = None
        return False

    def _candidates(self, name: Name) -> list[str]:
        """Return the words that a factory with ``**kwargs`` may know: named arguments, else keys of a group.

        It takes any other word as well and drops it. lr and weight decay are tried by every word, so that a
        factory that drops them is found out.
        """
        words = {candidate: candidate.partition(".")[0] for candidate in name.names}
        own = [candidate for candidate, word in words.items() if word in self.named_arguments]
        if own or name in (self.hyper_names.get("lr"), self.hyper_names.get("weight_decay")):
            return own or list(name.names)
        return [candidate for candidate, word in words.items() if word in self._probed_group]

    def arguments(self, hyper: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the constructor arguments, and the values to write into ``param_groups`` afterwards."""
        arguments: dict[str, Any] = {}
        edits: dict[str, Any] = {}
        for ours, value in hyper.items():
            name = self.hyper_names.get(ours)
            if name is None:
                family = "(none)" if self.contract is None else repr(self.contract.name)
                raise CannotVaryError(f"{ours} is no hyper-parameter of contract {family}")
            if self.taken is None:
                self._tried(name)
            keyword = self._keyword(name)
            if keyword is None:
                if ours not in self._variable:
                    raise CannotVaryError(
                        f"{self.title} lets {ours} be set neither by an argument nor in param_groups; "
                        f"name its own word for it with --names {ours}=..."
                    )
                edits[ours] = value
                continue
            word, _, index = keyword.partition(".")
            if index:
                known = entries_of(word, self.args, self.taken, self.hyper_names.values())
                entries = list(arguments.get(word, known))
                entries[int(index)] = value
                arguments[word] = tuple(entries)
            else:
                arguments[word] = value
        return arguments, edits
