"""Build a subject from options: check the names of the hyper-parameters and find the contract."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ilr_check.gate.built import demand_built, demand_gradients_suffice, form_hint
from ilr_check.gate.options import GateOptions, dtypes_named
from ilr_check.gate.process.surroundings import Watch
from ilr_check.gate.serving import service_of
from ilr_check.gate.subject import BASIC, Subject, SubjectError
from ilr_check.gate.tags import tags_of
from ilr_check.gate.variation import built_with, flipped_keys
from ilr_check.optim.contracts import contracts
from ilr_check.optim.contracts.contract import Contract
from ilr_check.optim.contracts.loading import contract_from
from ilr_check.optim.optax_target import spared
from ilr_check.optim.target import import_target
from ilr_check.spelling import did_you_mean

NOWHERE = "of its own"
"""A word that is no argument and no key of a group."""


def subject_of(
    factory: Callable[..., Any], options: GateOptions | None = None, **named: Any
) -> tuple[Subject, str]:
    """Return the subject with its contract, and how the contract was found.

    ``named`` are options by name, for a caller who has no ``GateOptions``.
    Raises ``ValueError`` for an option that does not fit the target or the contract, and ``SubjectError`` for
    a target that cannot be built.
    """
    options = GateOptions.of(named) if options is None else options
    if not callable(factory):
        raise SubjectError(f"{factory!r} is not callable; give an optimizer class or a factory")
    bare = Subject(
        factory,
        None,
        dict(options.args),
        dict(options.names),
        {},
        dict(options.impl),
        device=options.device,
        name=options.name,
        dtypes=dtypes_named(options.dtype),
        tags=tags_of(factory, options.tags),
        setup=_setup(options.setup),
    )
    # What the first steps leave behind is put back, so that the laws find the process as it was.
    with Watch().during("finding the contract", service_of(bare)):
        try:
            _demand_names(bare)
            if spared(factory):
                demand_gradients_suffice(bare)
            contract, note = _contract(bare, options.contract)
            if contract is None and options.declare:
                raise ValueError("declare needs a contract; name one instead of auto")
            declared = {} if contract is None else contract.declared(options.declare)
            if contract is not None and options.contract == "auto" and _says_decoupled(bare, contract):
                declared.setdefault("decay", "decoupled")
                note += "; the W of its name is taken for decoupled weight decay"
            subject = bare.with_contract(contract, declared)
            if contract is not None and contract.matrices_only and _eps_is_for_others(subject):
                subject = replace(subject, names={**subject.names, "eps": NOWHERE})
                note += "; its eps acts on no matrix, so that of the family counts as one that cannot be set"
            demand_built(subject)
        except SubjectError as error:
            raise SubjectError(f"{error}{form_hint(bare)}") from error
    return subject, note


def _contract(bare: Subject, wanted: Any) -> tuple[Contract | None, str]:
    if wanted == "auto":
        from ilr_check.gate.reference.family import infer

        return infer(bare)
    return contract_from(wanted), "named by the caller"


def _says_decoupled(bare: Subject, contract: Contract) -> bool:
    """Return whether its name is that of a family with decay in the gradient, and a W, as AdamaxW."""
    word = bare.title.rpartition(":")[2].lower()
    return contract.decay.where == "gradient" and word.endswith(f"{contract.name}w")


def _eps_is_for_others(subject: Subject) -> bool:
    """Return whether eps changes no step of a matrix, but those of a vector or of a group with other keys.

    A Muon that steps vectors by AdamW has the eps of AdamW, and may have one of its own that is a constant.
    """
    if "eps" in subject.names or not subject.can_vary("eps"):
        return False
    others = [(subject, (5,)), (built_with(subject, flipped_keys(subject)), (3, 4))]
    return not _eps_acts(subject, (3, 4)) and any(_eps_acts(*other) for other in others)


def _eps_acts(subject: Subject, shape: tuple[int, ...]) -> bool:
    """Return whether a large eps changes the first step of a tensor of this shape."""
    ends = []
    with suppress(Exception):  # whatever the target raises, it does not step such a tensor
        for eps in (1e-8, 0.5):
            trial = subject.start([subject.tensor(torch.ones(shape))], eps=eps)
            trial.step([subject.tensor(torch.arange(1.0, 1.0 + trial.parameters[0].numel()).reshape(shape))])
            ends.append(trial.values()[0])
    return len(ends) == 2 and not torch.equal(*ends)


def _setup(given: Any) -> Any:
    """Return the function of ``setup``; ``None`` where there is none."""
    if isinstance(given, str):
        return import_target(given, what="setup") if given else None
    return given


def _demand_names(bare: Subject) -> None:
    """Raise ``ValueError`` for a renaming from a name of no family or to a name that the target lacks."""
    known = sorted({*BASIC, *(ours for contract in contracts().values() for ours in contract.names)})
    for ours, theirs in bare.names.items():
        if ours not in known:
            hint = did_you_mean(ours, known)
            raise ValueError(
                f"names {ours}={theirs}: no family has {ours!r}; {hint}known are {', '.join(known)}"
            )
    if bare.names and bare.taken is not None:
        group = bare.build([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
        there = [word for word in dict.fromkeys((*bare.taken, *group)) if word != "params"]
        for ours, theirs in bare.names.items():
            if theirs.partition(".")[0] not in there:
                raise ValueError(
                    f"names {ours}={theirs}: {bare.title} has no {theirs!r}; it has {', '.join(there)}"
                )
