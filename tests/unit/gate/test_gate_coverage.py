"""Coverage decides: a law that applies and was not judged is never a pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ilr_check
from ilr_check.evidence import ClaimText
from ilr_check.evidence.gate import Finding
from ilr_check.gate.conclusion import Judged, conclude
from ilr_check.gate.coverage import NOTHING_TO_TRY, coverage_of
from ilr_check.gate.judge import readings_of
from ilr_check.gate.law import Circumstances
from ilr_check.gate.laws import gate_laws
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process.noting import noted, text_of
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.subject import Subject
from ilr_check.optim.contracts import contracts


class Cubic(torch.optim.Optimizer):
    """Steps with the cube of the gradient, which no family does."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad**3)


LAWS = "descent,textbook-step,decay-coupling"


def test_without_a_family_the_verdict_stays_open() -> None:
    result = ilr_check.check_optimizer(Cubic, laws=LAWS)
    assert (result.verdict, result.exit_code) == ("inconclusive", 3)
    assert result.coverage.judged == ("descent",)
    assert {passed.law for passed in result.coverage.not_judged} == {"textbook-step", "decay-coupling"}
    with pytest.raises(AssertionError, match="laws that apply were not judged"):
        result.raise_unless_holds()
    result.raise_if_violated()


@pytest.mark.parametrize(
    "more", [{"accept_unjudged": True}, {"reference": Cubic}], ids=["accepted", "a reference stands in"]
)
def test_it_may_be_accepted_and_a_reference_stands_in(more: dict[str, Any]) -> None:
    result = ilr_check.check_optimizer(Cubic, laws=LAWS, **more)
    assert (result.verdict, result.exit_code) == ("holds", 0)
    assert len(result.coverage.not_judged) == 2


def test_a_baseline_stands_in(tmp_path: Path) -> None:
    for told in ("nothing to compare with yet", ""):
        result = ilr_check.check_optimizer(Cubic, laws=LAWS, baseline=tmp_path / "b.json")
        assert result.exit_code == 0
        assert told in " ".join(result.report.notices)


def test_the_nearest_family_is_named_with_its_difference() -> None:
    class FirstRow(torch.optim.Adam):
        """Updates only the first row of a matrix."""

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            kept = [p.detach().clone() for group in self.param_groups for p in group["params"]]
            done = super().step(closure)
            for before, p in zip(kept, (p for g in self.param_groups for p in g["params"]), strict=True):
                if p.ndim > 1:
                    p[1:] = before[1:]
            return done

    def make(params: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8) -> Any:
        return FirstRow(params, lr=lr, betas=betas, eps=eps)

    result = ilr_check.check_optimizer(make, laws=LAWS)
    assert result.contract == ""
    assert result.exit_code == 3
    assert "the nearest is adam" in result.contract_note
    assert "--contract adam" in result.contract_note


def law(name: str) -> ClaimText:
    return text_of(name, name, "s", source="s", meaning="m")


REQUEST = GateRequest(target="m:O")


def finding(claim: str, verdict: Any, **more: Any) -> Finding:
    return noted(REQUEST, claim, "g", verdict, message="told", **more)


def test_laws_are_sorted_by_what_was_said_of_them() -> None:
    import msgspec

    left_open = msgspec.structs.replace(finding("open", "skipped"), open=True)
    found = [finding("a", "holds"), finding("b", "skipped"), left_open, finding("bad", "error")]
    coverage = coverage_of(
        ["a", "b", "open", "bad", "quiet", "lost"], ["a", "b", "open", "bad", "quiet"], found
    )
    assert coverage.judged == ("a",)
    assert {p.law: p.reason for p in coverage.not_applicable} == {"b": "told", "quiet": NOTHING_TO_TRY}
    assert [p.law for p in coverage.not_judged] == ["open", "bad", "lost"]


def test_done_without_every_planned_law_is_an_error() -> None:
    found = [finding("a", "holds")]
    judged = Judged(laws=(law("a"), law("b")), finished=("a",), findings=found, contract="sgd")
    report = conclude(REQUEST, judged, {})
    assert (report.verdict, report.exit_code) == ("error", 2)
    assert [f.claim for f in report.findings if f.verdict == "error"] == ["b"]
    whole = Judged(laws=(law("a"),), finished=("a",), findings=found, contract="sgd")
    assert conclude(REQUEST, whole, {}).exit_code == 0


@pytest.mark.parametrize(
    ("severity", "fail_on", "code"),
    [
        ("defect", "defect", 1),
        ("fragility", "defect", 0),
        ("departure", "fragility", 0),
        ("fragility", "fragility", 1),
        ("departure", "departure", 1),
    ],
)
def test_severity_decides_the_exit_code(severity: Any, fail_on: Any, code: int) -> None:
    request = GateRequest(target="m:O", options=GateOptions(fail_on=fail_on))
    found = [finding("a", "violated", severity=severity)]
    report = conclude(request, Judged(laws=(law("a"),), finished=("a",), findings=found, contract="sgd"), {})
    assert report.exit_code == code
    assert report.verdict == ("violated" if code else "holds")


def test_a_law_that_a_family_does_not_promise_takes_no_other_of_a_longer_name_with_it() -> None:
    sgd = contracts()["sgd"]
    spared = replace(sgd, exceptions={"zero-grad": "not promised", "zero-gradient:a case": "nor this case"})
    subject = Subject(torch.optim.SGD, spared)
    for law, verdicts in (("zero-grad", {"skipped"}), ("zero-gradient", {"holds"})):
        found = readings_of(gate_laws()[law], subject, Circumstances(law))
        assert {reading.verdict for reading in found} == verdicts
