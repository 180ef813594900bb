"""``parametrize_with_laws``: the gate's laws as cases of a user's own test, by the generator of the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ilr_check.evidence import Figure
from ilr_check.evidence.gate import Finding
from ilr_check.gate import judge
from ilr_check.gate.expected_failures import demand_known
from ilr_check.gate.law import GateLaw
from ilr_check.gate.laws import gate_laws
from ilr_check.gate.process.surroundings import Watch
from ilr_check.gate.result import GateResult
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.location import step_location
from ilr_check.train.threads import threads


@dataclass(frozen=True)
class LawCase:
    """One law about one optimizer; call it in a test."""

    law: GateLaw
    subject: Callable[[], Subject]
    seed: int
    profile: str

    def judged(self) -> tuple[tuple[Finding, ...], dict[str, Figure]]:
        """What the law says, and what the target changed in this process meanwhile; with the figures."""
        subject, watch = self.subject(), Watch()
        with threads(), watch.during(self.law.id):
            location = step_location(subject)
            findings, figures = judge.judge(
                self.law, subject, seed=self.seed, profile=self.profile, location=location
            )
        findings += judge.beside(watch, subject, findings, seed=self.seed, location=location)
        return findings, figures

    def __call__(self) -> tuple[Finding, ...]:
        """Judge; raises ``GateViolation`` unless the law holds, skips the test where it does not apply."""
        import pytest

        subject = self.subject()
        findings, figures = self.judged()
        if all(finding.verdict == "skipped" for finding in findings):
            pytest.skip("; ".join(dict.fromkeys(finding.message for finding in findings)))
        contract = "" if subject.contract is None else subject.contract.name
        GateResult(subject.title, contract, "", findings, figures=figures).raise_unless_holds()
        return findings

    def __repr__(self) -> str:
        return f"<law {self.law.id}>"


def parametrize_with_laws(
    factory: Callable[..., Any],
    *,
    contract: str = "auto",
    claims: str = "all",
    profile: str = "quick",
    seed: int = 0,
    args: Mapping[str, Any] | None = None,
    declare: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    impl: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Any:
    """Decorate ``def test(law): law()`` to run once a law, with the options of ``check_optimizer``.

    A law in ``expected_failures`` (id to reason) is a strict xfail. Raises ``ValueError`` for an unknown law.
    """
    import pytest

    expected = dict(expected_failures or {})
    demand_known(expected, gate_laws())

    @lru_cache(maxsize=1)
    def subject() -> Subject:
        return judge.subject_of(
            factory, contract=contract, args=args, declare=declare, names=names, impl=impl
        )[0]

    cases = []
    for law in judge.planned(claims, profile):
        reason = expected.get(law.id)
        marks = () if reason is None else (pytest.mark.xfail(strict=True, reason=reason),)
        cases.append(pytest.param(LawCase(law, subject, seed, profile), id=law.id, marks=marks))
    return pytest.mark.parametrize("law", cases)
