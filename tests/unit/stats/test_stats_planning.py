"""Planning: budget, looks, power; all before any data."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from ilr_check.stats import ErrorBudget, MeanEquivalence, SlopeEquivalence, examine, power, spend
from ilr_check.stats.budget import total_for
from ilr_check.stats.intervals import student_quantile


def mean(**rest: Any) -> MeanEquivalence:
    fields: dict[str, Any] = {
        "estimand": "a number",
        "margin": (-0.5, 0.5),
        "margin_reason": "chosen for this test",
        "looks": (64,),
        "false_fail": 1e-4,
    }
    return MeanEquivalence(**{**fields, **rest})


def test_budget_shares_add_up_and_are_recorded() -> None:
    budget = ErrorBudget()
    alphas = budget.plan(["a", "b", "c"], weights={"a": 2, "b": 1, "c": 1})
    assert alphas == pytest.approx({"a": 5e-4, "b": 2.5e-4, "c": 2.5e-4})
    assert budget.patience("a") == pytest.approx(5e-3)
    assert budget.spend("a") == alphas["a"]
    budget.skip("b", "no GPU")
    report = budget.as_dict()
    assert report["spent"] == {"a": alphas["a"]}
    assert report["skipped"] == {"b": "no GPU"}
    assert report["spent_total"] == pytest.approx(5e-4)


def test_budget_says_when_there_are_too_many_decisions() -> None:
    names = [str(k) for k in range(101)]
    with pytest.raises(ValueError, match=r"below the floor of 1e-05: .* enough for 100 decisions, and 101"):
        ErrorBudget().plan(names)
    assert len(ErrorBudget().plan(names[:100])) == 100


@pytest.mark.parametrize(("decisions", "total"), [(1, 1e-3), (100, 1e-3), (101, 1.01e-3), (227, 2.27e-3)])
def test_the_total_leaves_the_floor_to_each_decision(decisions: int, total: float) -> None:
    assert total_for(decisions) == pytest.approx(total)
    alphas = ErrorBudget(total=total_for(decisions)).plan([str(k) for k in range(decisions)])
    assert min(alphas.values()) >= 1e-5 * (1 - 1e-9)


def test_each_decision_is_taken_once() -> None:
    budget = ErrorBudget()
    budget.plan(["a", "b"])
    budget.spend("a")
    with pytest.raises(ValueError, match="taken once"):
        budget.spend("a")
    with pytest.raises(ValueError, match="one plan"):
        budget.plan(["c"])


@pytest.mark.parametrize("looks", [1, 2, 3, 6])
@pytest.mark.parametrize("rate", [1e-5, 3e-5, 1e-4, 1e-2])
def test_spending_adds_up_grows_and_respects_the_floor(looks: int, rate: float) -> None:
    alphas = spend(rate, looks, floor=1e-5)
    assert sum(alphas) == pytest.approx(rate)
    assert list(alphas) == sorted(alphas)
    assert all(alpha == 0 or alpha >= 1e-5 * (1 - 1e-9) for alpha in alphas)


def test_spending_is_geometric_above_the_floor() -> None:
    assert spend(0.07, 3) == pytest.approx((0.01, 0.02, 0.04))


def test_examination_stops_at_the_first_clear_look_and_counts_the_saving() -> None:
    law = np.random.default_rng(0)
    design = mean(looks=(32, 64, 128), sd=0.6)
    clear, hard = law.normal(0, 0.3, 128), law.normal(0, 1.1, 128)
    outcome = examine(design, lambda n: clear[:n])
    assert (outcome.decision.verdict, outcome.runs_used, outcome.looks_used) == ("holds", 32, 1)
    assert 64 < outcome.fixed_runs <= 128
    assert outcome.saved == pytest.approx(1 - 32 / outcome.fixed_runs)
    assert examine(design, lambda n: hard[:n]).runs_used > 32


def test_an_early_look_without_a_share_can_not_end_in_violated() -> None:
    design = mean(looks=(32, 64, 128), false_fail=1e-5)
    runs = np.random.default_rng(0).normal(5, 0.3, 128)
    decision = design.decide(runs[:32], look=0)
    assert decision.verdict == "inconclusive"
    assert any("cannot end in violated" in note for note in decision.notes)
    assert design.decide(runs).verdict == "violated"


@pytest.mark.parametrize("tail", [0.025, 1e-3])
@pytest.mark.parametrize("degrees_of_freedom", [31, 127])
def test_without_hall_the_power_is_that_of_the_non_central_t(
    tail: float, degrees_of_freedom: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = float(student_quantile(tail, degrees_of_freedom))
    monkeypatch.setattr(
        power, "critical_values", lambda tail, degrees_of_freedom: (np.array([c]), np.array([1.0]))
    )
    for shift in (c - 1, c, c + 2):
        exact = scipy.stats.nct.sf(c, degrees_of_freedom, shift)
        assert 1 - power.chance_of_reaching(shift, tail, degrees_of_freedom) == pytest.approx(exact, abs=4e-3)


@pytest.mark.parametrize("discrepancy", [0.7, 1.0, 2.0])
def test_runs_needed_is_the_inverse_of_smallest_detectable(discrepancy: float) -> None:
    design = mean(sd=0.5)
    runs = design.runs_needed(discrepancy=discrepancy)
    assert mean(looks=(runs,), sd=0.5).smallest_detectable() <= discrepancy
    if runs > 32:
        weaker = mean(looks=(runs - 1,), sd=0.5)
        assert weaker.smallest_detectable() > discrepancy or weaker.weakness() is not None


def test_runs_needed_refuses_what_lies_within_the_margin() -> None:
    with pytest.raises(ValueError, match="lies within the margin"):
        mean(sd=0.5).runs_needed(discrepancy=0.4)


def test_planning_needs_a_standard_deviation() -> None:
    with pytest.raises(ValueError, match="give sd="):
        mean().smallest_detectable()


def test_slope_is_least_squares_on_level_means() -> None:
    levels = (1.0, 3.0, 4.0, 10.0)
    design = SlopeEquivalence(
        estimand="slope",
        margin=(0.5, 1.5),
        margin_reason="chosen for this test",
        looks=(32,),
        false_fail=1e-4,
        theory=1.0,
        levels=levels,
        weights=(1.0, 2.0, 3.0, 1.0),
    )
    law = np.random.default_rng(0)
    groups = [x * np.exp(0.1 * law.normal(size=32)) for x in levels]
    means = [np.log(group).mean() for group in groups]
    fitted = np.polyfit(np.log(levels), means, 1, w=np.sqrt([1.0, 2.0, 3.0, 1.0]))
    assert design.decide(groups).estimate == pytest.approx(fitted[0])
