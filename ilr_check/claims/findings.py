"""From a decision to a finding: premises, agreement, known departures, and the words of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ilr_check.claims.claim import Finding
from ilr_check.evidence import Margin, Measured, RivalOutcome
from ilr_check.evidence.records import Agreement, Form, Premise, VerdictWord
from ilr_check.stats import Decision, Examination


def finding_of(
    examination: Examination,
    *,
    form: Form,
    group: str,
    subject: dict[str, Any],
    n_steps: int,
    figure: str,
    message: str = "",
    rival_values: Mapping[str, float] | None = None,
    premises: tuple[Premise, ...] = (),
) -> Finding:
    """Return the finding in which a sequential examination ends.

    ``rival_values`` gives a rival that is a curve one number to be drawn beside the measured one. Where a
    premise fails, ``holds`` and ``violated`` both become ``inconclusive``: the law does not apply.
    """
    d = examination.decision
    looks = (
        f"{examination.runs_used} runs a population in {examination.looks_used} look(s); "
        f"one look with the same promise would need {examination.fixed_runs}"
    )
    failed = [premise for premise in premises if not premise.met]
    agreement = agreement_of(d) if d.verdict == "holds" and not failed else ""
    words = (
        *map(unmet, failed),
        _deviation(d, agreement),
        message,
        f"margin: {d.margin_reason}",
        *d.notes,
        looks,
    )
    return Finding(
        form=form,
        group=group,
        subject=subject,
        verdict="inconclusive" if failed and d.verdict in ("holds", "violated") else d.verdict,
        quantity=d.estimand,
        measured=Measured(value=d.estimate, low=d.low, high=d.high),
        expected=d.expected,
        margin=Margin(low=d.margin_low, high=d.margin_high),
        message="; ".join(word for word in words if word),
        detectable=d.detectable,
        false_fail=d.false_fail,
        false_pass=d.false_pass,
        rivals=tuple(
            RivalOutcome(
                name=r.name, expected=(rival_values or {}).get(r.name, r.expected), excluded=r.excluded
            )
            for r in d.rivals
        ),
        n_runs=d.n_runs,
        n_steps=n_steps,
        dtype="float32",
        figure=figure,
        agreement=agreement,
        premises=premises,
    )


def reported(*, message: str, **about: Any) -> Finding:
    """Return a finding that is reported and not judged; ``about`` are the other fields of ``Finding``."""
    defaults: dict[str, Any] = {"expected": None, "margin": Margin(), "dtype": "float32"}
    return Finding(
        form="raw",
        verdict="skipped",
        counts=False,
        message=f"reported, not judged: {message}",
        **{**defaults, **about},
    )


def agreement_of(decision: Decision) -> Agreement:
    """Return whether the interval of a ``holds`` contains the theory's value, at every point."""
    if decision.margin_low is None or decision.margin_high is None:
        return "inequality"
    band = decision.band
    if band is not None:
        inside = all(low <= 0.0 <= high for low, high in zip(band.low, band.high, strict=True))
    elif None in (decision.expected, decision.low, decision.high):
        return ""
    else:
        inside = decision.low <= decision.expected <= decision.high
    return "agrees" if inside else "deviates within the margin"


def _deviation(decision: Decision, agreement: Agreement) -> str:
    if agreement != "deviates within the margin":
        return ""
    return (
        f"holds within the margin; a deviation of {decision.estimate - decision.expected:+.3g} was detected"
    )


def unmet(premise: Premise) -> str:
    """Return the words of a premise that is not met."""
    low, high = premise.margin.low, premise.margin.high
    return (
        f"the premise {premise.name!r} is not met: measured {premise.measured:.4g}, "
        f"allowed [{'-inf' if low is None else f'{low:.4g}'}, {'inf' if high is None else f'{high:.4g}'}]"
    )


def as_departure(finding: Finding, expected: VerdictWord, reason: str) -> Finding:
    """Return the finding about a subject that is known to depart from its claim.

    The expected verdict becomes ``expected_failure``, which does not decide the exit code. ``holds`` in its
    place is an ``unexpected_pass``. Any other verdict stays, so that it is reported like everybody's.
    """
    verdict: VerdictWord
    if finding.verdict == expected:
        verdict, words = "expected_failure", f"known departure, {expected} as expected: {reason}"
    else:
        passed = finding.verdict == "holds"
        verdict = "unexpected_pass" if passed else finding.verdict
        words = f"known departure, but {finding.verdict} where {expected} was expected: {reason}"
    return replace(
        finding,
        verdict=verdict,
        departure=reason,
        expected_verdict=expected,
        agreement="",
        message=f"{words}; {finding.message}",
    )


def unreached(finding: Finding, world: str) -> Finding:
    """Return the finding as ``skipped``, because the world ``world`` changed nothing in its training."""
    words = (
        f"world {world!r} changes nothing in this training, because its `update` does not stand in for the "
        "update rule here; name the rule in `replaces`, or give the world a `gradient` or an `lr`"
    )
    return replace(
        finding, verdict="skipped", counts=False, agreement="", departure="", expected_verdict="",
        message=f"{words}; without it: {finding.verdict}",
    )  # fmt: skip
