"""Ask of a target that it can be built and stepped at all, before any law is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ilr_check.gate.subject import SWITCHES, Subject, SubjectError
from ilr_check.gate.words.exceptions import exception_words
from ilr_check.optim.optax_target import OptaxError


def demand_built(subject: Subject) -> None:
    """Build a subject once; raises ``SubjectError`` with the fix where that fails."""
    built = subject.build([nn.Parameter(torch.ones(2, 2))])
    if not callable(getattr(built, "step", None)) or not hasattr(built, "param_groups"):
        raise SubjectError(
            f"{subject.title} gave {type(built).__name__}, which has no step or no param_groups; "
            "name a torch.optim.Optimizer class or a factory of one"
        )
    if subject.args.get("line_search_fn"):
        raise SubjectError(
            f"{subject.title} with a line search needs the loss at every point that it tries, and the gate "
            "hands over gradients alone; leave line_search_fn out"
        )
    for word in SWITCHES:
        if subject.args.get(word):
            _demand_switch(subject, word)


def demand_gradients_suffice(subject: Subject) -> None:
    """Raise ``SubjectError`` for an optimizer of optax that wants a loss, or a function of the weights."""
    ones = torch.ones(2, 2, device=subject.device)
    try:
        subject.start([ones]).step([ones])
    except OptaxError as error:
        raise SubjectError(str(error)) from error
    except Exception:  # another refusal is for others to tell
        return


def form_hint(subject: Subject) -> str:
    """Return which tag says the form of parameters that a constructor takes, where it takes no plain ones."""
    parameter = nn.Parameter(torch.ones(2, 2))
    plain = _refusal(subject, [parameter])
    if not plain or subject.tags.group_keys or subject.takes_names:
        return ""
    if not _refusal(subject, [("layers.0.weight", parameter)]):
        return "; it takes pairs of a name and a parameter: say so with --tag named_parameters=True"
    if _refusal(subject, [{"params": [parameter]}]) != plain:
        return (
            "; if its groups must have keys of their own, name them with the values that the gate gives, "
            "such as --tag \"group_keys={'use_muon': False}\""
        )
    return ""


def _refusal(subject: Subject, parameters: Any) -> str:
    """Return the exception with which the factory refuses parameters; empty where it takes them."""
    try:
        subject.factory(parameters, **subject.args)
    except Exception as error:
        return exception_words(error)
    return ""


def _demand_switch(subject: Subject, word: str) -> None:
    """Raise ``SubjectError`` for a switch of the user's with which the target refuses to step here.

    torch refuses ``capturable=True`` on a CPU at the first step, not in the constructor.
    """
    refusal = _first_step_fails(subject)
    without = replace(subject, args={k: v for k, v in subject.args.items() if k != word})
    if refusal and not _first_step_fails(without):
        raise SubjectError(
            f"{subject.title} refuses to step with {word}=True on {subject.device}: {refusal}; "
            f"leave {word} out, or choose another --device"
        )


def _first_step_fails(subject: Subject) -> str:
    """Return the exception of one plain step as text; empty where it raises none."""
    ones = torch.ones(2, 2, dtype=torch.float64, device=subject.device)
    try:
        subject.start([ones]).step([ones])
    except Exception as error:
        return exception_words(error)
    return ""
