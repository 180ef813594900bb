"""An exception of the optimizer is a violation. An exception of the gate is an error and accuses no
optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import ilr_check
from ilr_check.gate.judge import readings_of
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.stimuli.scenarios import SCENARIOS, traces
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.exceptions import exception_words


class Unspeakable(Exception):
    """An exception whose ``str`` raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Fails(torch.optim.SGD):
    """Raises a given exception in a step."""

    error: Exception = ZeroDivisionError("division by zero")

    def step(self, closure: Any = None) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (ValueError("bad \ud800 text"), r"ValueError: bad \ud800 text"),
        (Unspeakable(), "Unspeakable: (its __str__ raises RuntimeError)"),
    ],
    ids=["plain", "lone surrogate", "raising text"],
)
def test_a_crash_in_a_step_is_a_violation_with_the_exception_as_its_diagnosis(
    error: Exception, words: str
) -> None:
    kind = type("FailsSo", (Fails,), {"error": error, "__module__": __name__})
    result = ilr_check.check_optimizer(kind, contract="sgd", laws="descent")
    (finding,) = [f for f in result.findings if f.claim == "descent"]
    assert (finding.verdict, result.exit_code) == ("violated", 1)
    assert words in finding.diagnosis
    assert __file__ in finding.diagnosis
    ilr_check.evidence.gate.encode_report(result.report)  # whatever it is made of, it can be written


def test_an_error_of_our_own_never_blames_the_optimizer() -> None:
    def check(subject: Subject, circumstances: Circumstances) -> list[Reading]:
        subject.start([torch.ones(2, 2)]).step([torch.ones(2, 2)])
        raise KeyError("ours")

    law = GateLaw(
        text=law_text("a-law", "t", "s", equation="e", source="s", meaning="m"),
        tier="exact",
        blind_to="",
        check=check,
    )
    namespace: dict[str, Any] = {}
    source = compile("def check(subject, circumstances):\n    raise KeyError('ours')\n", _inside(), "exec")
    exec(source, namespace)
    subject = Subject(torch.optim.SGD)
    (reading,) = readings_of(
        GateLaw(text=law.text, tier="exact", blind_to="", check=namespace["check"]),
        subject,
        Circumstances("a-law"),
    )
    assert reading.verdict == "error"
    assert "inside ilr-check, not of the optimizer: KeyError: 'ours'" in reading.diagnosis


def _inside() -> str:
    """Return the name of a file that would lie in the package."""
    from pathlib import Path

    return str(Path(ilr_check.__file__).parent / "gate" / "laws" / "a_law.py")


def test_what_was_read_before_a_crash_counts() -> None:
    class Late(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            if any(p.ndim == 0 for group in self.param_groups for p in group["params"]):
                raise TypeError("no scalars")
            return super().step(closure)

    result = ilr_check.check_optimizer(Late, contract="sgd", laws="tensor-shapes")
    told = {f.group: f.verdict for f in result.findings}
    assert told["a scalar"] == "violated"
    assert told["one entry"] == "holds"


def test_a_setting_that_the_constructor_refuses_is_skipped_and_said() -> None:
    class NoMomentum(torch.optim.SGD):
        def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.0, weight_decay: float = 0.0):
            if momentum:
                raise ValueError("momentum is not supported")
            super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    result = ilr_check.check_optimizer(NoMomentum, contract="sgd", laws="textbook-step,missing-gradient")
    assert result.exit_code == 0
    assert {f.verdict for f in result.findings if "momentum=" in f.group} <= {"skipped"}
    assert any("momentum is not supported" in notice for notice in result.report.notices)


def test_a_long_text_is_cut() -> None:
    assert len(exception_words(ValueError("x" * 10_000))) < 700


class NeedsGradients(torch.optim.SGD):
    """Raises where no parameter of a group has a gradient, as a bare ``torch._foreach_add_`` does."""

    def step(self, closure: Any = None) -> Any:
        if all(p.grad is None for group in self.param_groups for p in group["params"]):
            raise RuntimeError("Tensor list must have at least one tensor.")
        return super().step(closure)


def test_a_scenario_that_an_optimizer_cannot_step_through_is_left_out() -> None:
    assert SCENARIOS.keys() - traces(Subject(NeedsGradients)).keys() == {"a step without gradient"}
    assert traces(Subject(torch.optim.SGD)).keys() == SCENARIOS.keys()
