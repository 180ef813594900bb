"""Verdicts: the rule itself, the separation of search and confirmation, and designs that are too weak."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilr_check.stats import (
    CollapseOnOne,
    ContrastEquivalence,
    CurveEquivalence,
    Design,
    DistributionEquivalence,
    MeanEquivalence,
    RelaxationRate,
    Rival,
    SearchError,
    SlopeEquivalence,
    TailIndex,
    log_ratios,
    paired_differences,
    permutation_p_value,
)
from ilr_check.stats.controlled import UNPOWERED

COMMON: dict[str, Any] = {
    "estimand": "a number",
    "margin_reason": "chosen for this test",
    "looks": (64,),
    "false_fail": 1e-4,
}
MARGIN: dict[str, Any] = {**COMMON, "margin": (-0.5, 0.5)}
TIMES = tuple(np.linspace(0, 3, 8))
X = (0.0, 1.0, 2.0, 3.0) * 2


def mean(**rest: Any) -> MeanEquivalence:
    return MeanEquivalence(**{**MARGIN, **rest})


def designs() -> dict[str, tuple[Design, Any]]:
    """One design of each kind with a function that makes data of a given deviation."""
    law = np.random.default_rng(11)
    z = law.standard_normal

    def vectors(at: float) -> Any:
        return z((64, 3)), z((64, 3)) + np.array([at, 0, 0]), z((64, 3)) + np.array([0, 6, 0])

    return {
        "mean": (mean(), lambda at: at + z(64) / 2),
        "curve": (CurveEquivalence(**MARGIN, points=5), lambda at: z((64, 5)) / 3 + at * (np.arange(5) == 2)),
        "slope": (
            SlopeEquivalence(**{**COMMON, "margin": (0.5, 1.5)}, theory=1.0, levels=(1, 2, 4, 8)),
            lambda at: [x ** (1 + at) * np.exp(z(64) / 3) for x in (1, 2, 4, 8)],
        ),
        "relaxation": (
            RelaxationRate(**MARGIN, rate=2.0, times=TIMES),
            lambda at: 1 + 3 * np.exp(-2 * np.exp(at) * np.array(TIMES)) + z((64, 8)) / 10 + z((64, 1)),
        ),
        "contrast": (
            ContrastEquivalence(**COMMON, theta=0.25),
            lambda at: (z(64) / 2, at + z(64) / 2, 4 + z(64) / 2),
        ),
        "distribution": (DistributionEquivalence(**COMMON, theta=0.25, seed=1), vectors),
        "collapse": (
            CollapseOnOne(**MARGIN, x=X, groups=("a",) * 4 + ("b",) * 4, degree=1),
            lambda at: [2 * x + z(64) / 3 + 2 * at * (k == 5) for k, x in enumerate(X)],
        ),
        "tail": (
            TailIndex(**MARGIN, alpha=1.5),
            lambda at: np.exp(law.standard_exponential((64, 400)) / (1.5 * np.exp(at))),
        ),
    }


@pytest.mark.parametrize("kind", designs())
@pytest.mark.parametrize(("at", "verdict"), [(0.0, "holds"), (2.5, "violated")])
def test_theory_holds_and_a_gross_deviation_is_violated(kind: str, at: float, verdict: str) -> None:
    design, data = designs()[kind]
    factor = {"distribution": 2.0, "relaxation": 0.4}.get(kind, 1.0)
    decision = design.decide(data(at * factor))
    assert decision.verdict == verdict, decision
    assert decision.n_runs == 64
    json.dumps(decision.as_dict(), allow_nan=False)


@pytest.mark.parametrize("kind", designs())
def test_no_decision_inside_a_search(kind: str) -> None:
    design, data = designs()[kind]
    sample = data(0.0)

    @settings(max_examples=1, database=None)
    @given(st.integers())
    def search(_: int) -> None:
        design.decide(sample)

    with pytest.raises(SearchError, match="parametrise over them"):
        search()


def test_no_p_value_inside_a_search() -> None:
    @settings(max_examples=1, database=None)
    @given(st.integers())
    def search(_: int) -> None:
        permutation_p_value(np.ones((8, 8)), 4, seed=0)

    with pytest.raises(SearchError):
        search()


def test_inside_straddling_and_outside() -> None:
    runs = np.random.default_rng(0).normal(0, 0.5, 64)
    words = [mean().decide(runs - runs.mean() + centre).verdict for centre in (0.0, 0.45, 0.55, 1.5)]
    assert words == ["holds", "inconclusive", "inconclusive", "violated"]


def test_the_holding_interval_has_level_1_minus_2_false_pass_and_the_other_is_wider() -> None:
    runs = np.random.default_rng(0).normal(0, 0.5, 64)
    decision = mean().decide(runs)
    assert decision.fail_low < decision.low < decision.estimate < decision.high < decision.fail_high
    half = 2.387 * runs.std(ddof=1) / 8  # t of 0.01 with 63 degrees of freedom
    assert half <= (decision.high - decision.low) / 2 < 1.15 * half


def test_holds_needs_every_rival_excluded() -> None:
    runs = np.random.default_rng(0).normal(0, 0.5, 64)
    far, near = Rival(name="far", expected=0.4), Rival(name="near", expected=0.05)
    assert mean(rivals=(far,)).decide(runs).verdict == "holds"
    decision = mean(rivals=(far, near)).decide(runs)
    assert decision.verdict == "inconclusive"
    assert [rival.excluded for rival in decision.rivals] == [True, False]


def test_rival_curve_is_excluded_when_it_leaves_the_band_somewhere() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, (64, 4))
    rivals = (
        Rival(name="bends", expected=(0, 0, 0.1, 0.4)),
        Rival(name="level", expected=(0.01, 0.01, 0.01, 0.01)),
    )
    design = CurveEquivalence(**MARGIN, points=4, rivals=rivals)
    assert [rival.excluded for rival in design.decide(noise).rivals] == [True, False]
    shape = CurveEquivalence(**MARGIN, points=4, rivals=rivals[:1], nuisance="level")
    assert shape.decide(noise + 7).verdict == "holds"
    assert design.decide(noise + 7).verdict == "violated"


def test_band_of_a_curve_has_its_own_margins() -> None:
    design = CurveEquivalence(**MARGIN, points=3, margins=((-1, 1), (-0.2, 0.3), (-1, 1)))
    decision = design.decide(np.random.default_rng(0).normal(0, 0.3, (64, 3)))
    assert (decision.margin_low, decision.margin_high) == (-0.2, 0.3)
    assert decision.band is not None
    assert decision.band.margin_high == (1, 0.3, 1)


WEAK = {
    "runs": (mean(looks=(16, 64)), "16 runs"),
    "rate": (mean(false_fail=5e-6), "false-fail rate of 5e-06"),
    "sd": (mean(sd=2.0), "stays inconclusive"),
    "rival": (mean(sd=0.5, rivals=(Rival(name="twin", expected=0.05),)), "rival 'twin' is 0.05"),
    "power": (mean(sd=0.5, must_detect=0.6), "detect a deviation of"),
}


@pytest.mark.parametrize("why", WEAK)
def test_a_weak_design_says_so_in_a_sentence_and_never_holds(why: str) -> None:
    design, words = WEAK[why]
    weakness = design.weakness()
    assert weakness is not None
    assert words in weakness
    decision = design.decide(np.random.default_rng(0).normal(0, 0.01, 64))
    assert decision.verdict == "inconclusive"
    assert decision.notes[0] == weakness


def test_a_sound_design_has_no_weakness() -> None:
    rival = Rival(name="far", expected=1.0)
    assert mean(sd=0.5, rivals=(rival,), must_detect=1.0).weakness() is None


def test_some_runs_may_be_missing_but_not_many() -> None:
    runs = np.random.default_rng(0).normal(0, 0.5, 64)
    assert mean().decide(runs[:60]).verdict == "holds"
    assert "60 runs, 64 planned at this interim analysis" in mean().decide(runs[:60]).notes
    assert mean().decide(runs[:50]).verdict == "inconclusive"


def test_a_few_wild_runs_cost_a_holds_and_hide_no_violation() -> None:
    runs = np.random.default_rng(0).normal(0, 0.3, 64)
    assert mean().decide(runs).verdict == "holds"
    runs[:3] = 20.0, -15.0, 30.0
    decision = mean().decide(runs)
    assert decision.verdict == "inconclusive"
    assert decision.low <= decision.estimate <= decision.high
    assert any("trimmed mean" in note and "far runs: 0, 1, 2" in note for note in decision.notes)
    assert mean().decide(runs + 2).verdict == "violated"


def test_broken_runs_that_pull_the_mean_out_of_the_margin_never_hold() -> None:
    """Four of 128 runs lack the decay; the trimmed mean alone called this ``holds`` in most trials."""
    verdicts = []
    for seed in range(100):
        runs = np.random.default_rng(seed).normal(0, 0.3, 64)
        runs[:2] = 40.0
        verdicts.append(mean().decide(runs).verdict)
    assert "holds" not in verdicts


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["mean", "curve", "tail"])
def test_runs_that_are_not_finite_are_an_error(kind: str, bad: float) -> None:
    design, data = designs()[kind]
    sample = data(0.0)
    sample[3] = bad
    with pytest.raises(ValueError, match="1 of 64 runs are not finite; drop diverged runs"):
        design.decide(sample)


def test_identical_runs_decide_nothing() -> None:
    decision = mean().decide(np.zeros(64))
    assert decision.verdict == "inconclusive"
    assert "do not differ at all" in decision.notes[0]


def test_curves_without_a_rate_decide_nothing() -> None:
    design, _ = designs()["relaxation"]
    straight = -np.array(TIMES) + np.random.default_rng(0).normal(0, 0.1, (64, 8))
    decision = design.decide(straight)
    assert decision.verdict == "inconclusive"
    assert "do not determine a rate" in decision.notes[0]
    assert decision.as_dict()["estimate"] is None


def test_a_control_without_effect_is_named() -> None:
    law = np.random.default_rng(0)
    design, _ = designs()["contrast"]
    decision = design.decide(tuple(law.normal(size=(3, 64))))
    assert decision.verdict == "inconclusive"
    assert UNPOWERED in decision.notes


def test_log_ratios_and_paired_differences() -> None:
    assert log_ratios([1.0, np.e], [1.0, 1.0]).tolist() == pytest.approx([0.0, 1.0])
    assert paired_differences([3.0, 2.0], [1.0, 2.0]).tolist() == [2.0, 0.0]
    with pytest.raises(ValueError, match="needs positive numbers"):
        log_ratios([1.0, -1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="equal numbers"):
        paired_differences([1.0], [1.0, 2.0])


BAD_DESIGNS = {
    "theory outside": lambda: mean(margin=(0.1, 0.5)),
    "no reason": lambda: mean(margin_reason=" "),
    "looks shrink": lambda: mean(looks=(64, 32)),
    "false pass": lambda: mean(false_pass=0.05),
    "3 levels": lambda: SlopeEquivalence(**{**COMMON, "margin": (0.5, 1.5)}, theory=1.0, levels=(1, 2, 4)),
    "theta": lambda: ContrastEquivalence(**COMMON, theta=1.5),
    "rival length": lambda: CurveEquivalence(**MARGIN, points=3, rivals=(Rival(name="r", expected=(1, 2)),)),
    "one group": lambda: CollapseOnOne(**MARGIN, x=(1, 2, 3, 4, 5), groups=("a",) * 5),
    "top": lambda: TailIndex(**MARGIN, alpha=1.5, top=0.9),
    "times": lambda: RelaxationRate(**MARGIN, rate=1.0, times=(0, 1, 1, 2)),
}


@pytest.mark.parametrize("case", BAD_DESIGNS)
def test_a_nonsensical_design_is_an_error(case: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        BAD_DESIGNS[case]()
