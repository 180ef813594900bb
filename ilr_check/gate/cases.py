"""``parametrize_with_laws``: the gate's laws as cases of a user's own test, by the loop of the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from ilr_check.evidence import Figure
from ilr_check.evidence.gate import Finding, decides
from ilr_check.gate.conclusion import Judged, conclude
from ilr_check.gate.expected_failures import ExpectedFailure, demand_known, law_of, read_expected
from ilr_check.gate.judge import Judge
from ilr_check.gate.law import GateLaw
from ilr_check.gate.laws import gate_laws, planned
from ilr_check.gate.options import GateOptions, takes_options
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.result import GateResult
from ilr_check.gate.subject import Subject
from ilr_check.gate.subjects import subject_of


@dataclass(frozen=True)
class LawCase:
    """One law about one optimizer; call it in a test."""

    law: GateLaw
    subject: Callable[[], Subject]
    options: GateOptions

    def judged(self) -> tuple[tuple[Finding, ...], dict[str, Figure]]:
        """Return the law's findings, those about changes in this process, and the figures."""
        findings: list[Finding] = []
        figures: dict[str, Figure] = {}
        for judgement in Judge(self.subject(), self.options).judge((self.law,)):
            findings += judgement.findings
            figures.update(judgement.figures)
        return tuple(findings), figures

    def __call__(self) -> tuple[Finding, ...]:
        """Judge; raises ``GateViolation`` unless the law holds, skips the test where it does not apply.

        A violation that is milder than ``fail_on`` is only printed.
        """
        import pytest

        subject = self.subject()
        findings, figures = self.judged()
        judged = Judged(
            contract="" if subject.contract is None else subject.contract.name,
            laws=(self.law.text,),
            finished=(self.law.id,),
            findings=list(findings),
        )
        report = conclude(GateRequest(target=subject.title, options=self._strict), judged, self._expected)
        if all(finding.verdict == "skipped" for finding in findings):
            if report.coverage.not_judged and not self.options.accept_unjudged:
                pytest.skip(f"NOT JUDGED: {report.coverage.not_judged[0].reason}")
            pytest.skip("; ".join(dict.fromkeys(finding.message for finding in findings)))
        GateResult(report, figures).raise_unless_holds()
        for finding in report.findings:
            if finding.verdict == "violated" and not decides(finding, self.options.fail_on):
                print(f"{finding.severity}: {finding.id}: {finding.diagnosis}")  # shown by pytest -rA
        return report.findings

    @property
    def _strict(self) -> GateOptions:
        """Return the options; if the whole law is declared to fail, a violation of any severity counts."""
        declared = read_expected(self.options.expected_failures)
        fail_on = "departure" if self.law.id in declared else self.options.fail_on
        return msgspec.structs.replace(self.options, fail_on=fail_on)

    @property
    def _expected(self) -> dict[str, ExpectedFailure]:
        """Return declared failures of single cases; that of a whole law is a mark of the test."""
        declared = read_expected(self.options.expected_failures)
        return {name: why for name, why in declared.items() if ":" in name and law_of(name) == self.law.id}

    def __repr__(self) -> str:
        return f"<law {self.law.id}>"


@takes_options
def parametrize_with_laws(factory: Callable[..., Any], **options: Any) -> Any:
    """Decorate ``def test(law): law()`` to run once a law, with the options of ``check_optimizer``.

    A law in ``expected_failures`` (id to reason) is a strict xfail; so is a case, ``"law:case"``, within its
    law's test. Raises ``ValueError`` for an unknown law.
    """
    import pytest

    given = GateOptions.of(options)
    for name in ("baseline", "reference"):
        if getattr(given, name):
            raise ValueError(f"{name} is no option of parametrize_with_laws; use check_optimizer")
    expected = read_expected(given.expected_failures)
    demand_known(expected, gate_laws())

    @lru_cache(maxsize=1)
    def subject() -> Subject:
        return subject_of(factory, given)[0]

    cases = []
    for law in planned(given.laws, given.profile):
        declared = expected.get(law.id)
        marks = () if declared is None else (pytest.mark.xfail(strict=True, reason=declared.reason),)
        cases.append(pytest.param(LawCase(law, subject, given), id=law.id, marks=marks))
    return pytest.mark.parametrize("law", cases)
