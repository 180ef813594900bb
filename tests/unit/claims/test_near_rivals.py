"""Every decision of a statistical claim names a mistake between one and two margins from theory."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest

from ilr_check.claims import catalogue, statistical_laws
from ilr_check.claims.claim import Context, Profile
from ilr_check.claims.law import Part
from ilr_check.claims.mistakes import (
    Mistake,
    mistake,
    too_much_decay,
    with_near_rival,
    without_near_rival,
    wrong_exponent,
)
from ilr_check.stats import CurveEquivalence, Design, MeanEquivalence, Rival

LAWS = [(name, number) for name, laws in statistical_laws().items() for number in range(len(laws))]


def mean(**about: Any) -> MeanEquivalence:
    return MeanEquivalence(estimand="x", margin_reason="a test", looks=(32,), false_fail=1e-3, **about)


@cache
def bare_designs(claim: str, number: int, profile: Profile) -> tuple[tuple[Any, Part, Design], ...]:
    """Every design of a law as its claim states it, without the near rival that the law adds."""
    law = statistical_laws()[claim][number]
    specs = law.experiments(profile, 0)
    return tuple((spec, part, law.design(spec, part, 1e-5)) for spec in specs for part in law.parts(spec))


def lacking(claim: str, number: int, profile: Profile, *, bare: bool = False) -> list[str]:
    law = statistical_laws()[claim][number]
    found = []
    for spec, part, design in bare_designs(claim, number, profile):
        whole = design if bare else with_near_rival(design, law.mistakes(spec, part))
        near = any(whole.is_near(rival) for rival in whole.rivals)
        if not near and not without_near_rival(whole, inequality=part.inequality):
            found.append(f"{spec.title}, {part.name}")
    return found


@pytest.mark.parametrize(("claim", "number"), LAWS)
def test_every_decision_of_quick_has_a_near_rival(claim: str, number: int) -> None:
    assert lacking(claim, number, "quick") == []


@pytest.mark.nightly
@pytest.mark.parametrize(("claim", "number"), LAWS)
def test_every_decision_of_standard_has_a_near_rival(claim: str, number: int) -> None:
    assert lacking(claim, number, "standard") == []


def test_laws_without_mistakes_are_found_out() -> None:
    """The test above can fail: it does for laws whose mistakes are taken away."""
    assert sum(bool(lacking(*law, "quick", bare=True)) for law in LAWS) >= 20


def test_a_law_adds_the_near_rival_to_the_design_that_it_judges_with() -> None:
    (law,) = statistical_laws()["no-decay-growth"]
    (spec, part, design) = bare_designs("no-decay-growth", 0, "quick")[0]
    planned = law.planned_design(spec, part, Context(seed=0, profile="quick"))
    assert [rival.name for rival in planned.rivals] == [*(r.name for r in design.rivals), "exponent -0.45"]


def test_the_catalogue_has_the_statistical_claims() -> None:
    kinds = {claim.id for claim in catalogue().values() if claim.text.kind != "exact"}
    assert set(statistical_laws()) == kinds


def test_a_near_rival_decides_nothing_but_says_what_is_excluded() -> None:
    """A rival beyond the margin is excluded by every ``holds``; it never turns one into inconclusive."""
    design = mean(theory=1.0, margin=(0.9, 1.1))
    near = with_near_rival(design, (too_much_decay(float),))
    data = [1.0 + 0.01 * math.sin(i) for i in range(32)]
    assert design.decide(data).verdict == near.decide(data).verdict == "holds"
    (rival,) = near.decide(data).rivals
    assert (rival.name, rival.excluded) == ("weight decay 15 % too strong", True)


@pytest.mark.parametrize("gap", [0.099, 0.3])
def test_a_mistake_without_a_size_near_the_margin_gives_no_rival(gap: float) -> None:
    design = mean(margin=(-0.1, 0.1))
    assert with_near_rival(design, (Mistake(lambda size: "fixed", lambda size: gap),)) is design


def test_a_design_that_has_a_near_rival_keeps_it() -> None:
    design = mean(margin=(-0.1, 0.1), rivals=(Rival(name="own", expected=-0.15),))
    assert with_near_rival(design, (mistake("{}", float),)) is design


def test_margins_are_those_of_the_side_and_of_the_worst_point() -> None:
    lopsided = mean(margin=(-0.1, 0.5))
    assert lopsided.margins_away(Rival(name="", expected=-0.15)) == pytest.approx(1.5)
    assert lopsided.margins_away(Rival(name="", expected=0.15)) == pytest.approx(0.3)
    curve = CurveEquivalence(
        estimand="x",
        margin=(-1, 1),
        margin_reason="a test",
        looks=(32,),
        false_fail=1e-3,
        points=2,
        margins=((-0.1, 0.1), (-0.2, 0.2)),
    )
    assert curve.margins_away(Rival(name="", expected=(0.05, -0.3))) == pytest.approx(1.5)


def test_an_exponent_is_named_by_its_value() -> None:
    near = wrong_exponent(0.5, of="of B").near(mean(theory=0.5, margin=(0.47, 0.53)))
    assert near == Rival(name="exponent 0.45 of B", expected=0.45)
