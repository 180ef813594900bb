"""A subject on which a claim is known to fail stays in the claim, with the verdict that it must have."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

from ilr_check.claims import statistical_laws
from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.law import Departure, Part, StatisticalLaw
from ilr_check.evidence import ClaimText, Record
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.nets.specs import MLPSpec, NetSpec
from ilr_check.reporting import verdicts
from ilr_check.reporting.terminal import TerminalReporter
from ilr_check.stats import MeanEquivalence

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-3)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are drawn about ``truth``."""

    title: str
    truth: float
    sd: float = 0.1
    net: NetSpec = MLPSpec(inputs=6, widths=(8,), classes=3)


def case_law(known: Case, expected: str) -> StatisticalLaw[Case, Case]:
    return StatisticalLaw(
        text=ClaimText(
            id="a-claim",
            title="",
            statement="",
            equation="",
            source="",
            kind="statistical",
            chapter="mean-field",
            groups=(),
            rivals=("r",),
            meaning="",
        ),
        spec=Case,
        experiments=lambda profile, seed: [Case(title="usual", truth=0.0)],
        run_steps=lambda spec: 1,
        trained=lambda spec, lab: spec,
        design=lambda spec, part, alpha: MeanEquivalence(
            estimand="x", margin=(-1, 1), margin_reason="a test", looks=(64,), false_fail=alpha
        ),
        sample=lambda spec, part, n: spec.truth + spec.sd * np.random.default_rng(0).standard_normal(n),
        steps=lambda spec, part: 1,
        parts=lambda spec: (Part("first"), Part("second")),
        form="prediction",
        departures=(Departure(spec=known, expected={"first": expected}, reason="it is colder"),),
    )


def judged(truth: float, expected: str, sd: float = 0.1) -> tuple[Finding, ...]:
    law = case_law(Case(title="cold", truth=truth, sd=sd), expected)
    _, unit = law.plan("quick", 0)
    return law.judge(unit.subject, CONTEXT).findings


def record(finding: Finding) -> Record:
    own: dict[str, Any] = {name: getattr(finding, name) for name in Finding.__dataclass_fields__}
    return Record(
        id=f"a.{finding.group}",
        claim="a-claim",
        kind="statistical",
        seed=0,
        device="cpu",
        seconds=0.0,
        replay="",
        unit="u",
        unit_size=2,
        **own,
    )


@pytest.mark.parametrize(
    ("truth", "sd", "expected", "verdict", "code"),
    [
        (3.0, 0.1, "violated", "expected_failure", 0),
        (0.0, 0.1, "violated", "unexpected_pass", 1),
        (1.0, 0.1, "violated", "inconclusive", 3),
        (1.0, 0.1, "inconclusive", "expected_failure", 0),
        (3.0, 0.1, "inconclusive", "violated", 1),
    ],
)
def test_a_changed_verdict_is_reported(
    truth: float, sd: float, expected: str, verdict: str, code: int
) -> None:
    first, _ = judged(truth, expected, sd)
    assert (first.verdict, first.departure, first.expected_verdict) == (verdict, "it is colder", expected)
    assert first.message.startswith("known departure")
    assert "it is colder" in first.message
    assert exit_code([record(first)]) == code


def test_a_part_without_an_expected_verdict_is_judged_like_every_other() -> None:
    _, second = judged(3.0, "violated")
    assert (second.verdict, second.departure) == ("violated", "")


def test_it_is_planned_with_its_own_decisions_in_its_profiles() -> None:
    law = case_law(Case(title="cold", truth=3.0), "violated")
    assert [unit.title for unit in law.plan("standard", 0)] == ["a-claim: usual", "a-claim: cold"]
    assert law.plan("quick", 0)[1].decisions == ("a-claim/cold/first", "a-claim/cold/second")
    assert [unit.title for unit in law.plan("paper", 0)] == ["a-claim: usual", "a-claim: cold"]
    assert [unit.title for unit in law.plan("nightly", 0)] == ["a-claim: usual"]


def test_the_terminal_says_known_departure_and_not_violated() -> None:
    law = case_law(Case(title="cold", truth=3.0), "violated")
    usual, cold = law.plan("quick", 0)
    found = [*law.judge(usual.subject, CONTEXT).findings, law.judge(cold.subject, CONTEXT).findings[0]]
    records = [record(finding) for finding in found]
    out = io.StringIO()
    TerminalReporter(Console(file=out, width=200), live=False).finished(records, exit_code(records))
    text = out.getvalue()
    assert "verdicts: 2 holds, 1 known departure" in text
    assert "came out as expected: 1. a-claim (cold: first): it is colder." in text
    assert "exit code 0" in text
    assert verdicts.worst(records) == "holds"


def known() -> list[tuple[str, Departure[Any]]]:
    laws = [(name, law) for name, parts in statistical_laws().items() for law in parts]
    return [(name, departure) for name, law in laws for departure in law.departures]


def test_the_catalogue_keeps_what_the_theory_does_not_cover() -> None:
    titles = {(name, departure.spec.title) for name, departure in known()}
    assert titles >= {
        ("function-mixing-time", "LayerNorm net, teacher and student"),
        ("function-mixing-time", "a cold start on a small net, teacher and student"),
        ("adaptive-equilibrium", "AdamW, a net that learns digits with label noise 0.5"),
        ("adaptive-equilibrium", "Lion, a net that learns digits with label noise 0.5"),
        ("momentum-equilibrium", "Nesterov momentum, BatchNorm CNN on digits"),
    }


@pytest.mark.parametrize(
    ("name", "departure"), known(), ids=lambda x: x if isinstance(x, str) else x.spec.title
)
def test_every_departure_names_parts_that_exist_and_can_be_judged(
    name: str, departure: Departure[Any]
) -> None:
    (law,) = statistical_laws()[name]
    parts = law.parts(departure.spec)
    assert set(departure.expected) <= {"", *(part.name for part in parts)}
    assert any(departure.verdict_of(part) != "holds" for part in parts)
    strict = Context(seed=0, profile="quick", default_alpha=1e-5, false_pass=3e-3)
    designs = [law.planned_design(departure.spec, part, strict) for part in parts]
    assert [design.weakness() for design in designs] == [None] * len(parts)
    restored = msgspec.convert(msgspec.to_builtins(departure.spec), type=law.spec)
    assert restored == departure.spec
