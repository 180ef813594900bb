"""The laws of narrow arithmetic, without a contract: correct optimizers pass, and each broken one is found.

Stochastic rounding is judged by counts. Both error rates of that decision are computed here from the exact
binomial distribution, at the ends of the margin.
"""

from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import binom
from zoo.broken import narrow as broken
from zoo.by_hand import narrow as right

from ilr_check.evidence.gate import Finding
from ilr_check.gate.judge import judge
from ilr_check.gate.laws import gate_laws, stochastic_rounding
from ilr_check.gate.laws.stochastic_rounding import HEIGHT, MARGIN, WIDTH, Count
from ilr_check.gate.subject import Subject
from ilr_check.gate.tags import tags_of

DRAWS = HEIGHT * WIDTH
HOLDS = {
    "stochastic-rounding": ("StochasticAdamW",),
    "small-steps": ("MasterAdamW", "KahanAdamW", "KahanWithNarrowMoments"),
    "quantised-state": ("EightBitAdam", "FourBitAdam"),
    "narrow-resume": ("MasterAdamW", "KahanAdamW"),
}
KILLS: dict[str, tuple[str, str, str]] = {
    "TruncatedForStochastic": ("stochastic-rounding", "bias", "cut off towards zero"),
    "HalfOfTheNoise": ("stochastic-rounding", "bias", "is biased"),
    "OneDrawForAll": ("stochastic-rounding", "bias", "one random number for all entries"),
    "OneDrawForAColumn": ("stochastic-rounding", "neighbouring entries", "one random number"),
    "SameDrawsAtEveryStep": ("stochastic-rounding", "two trainings", "same random numbers"),
    "TwiceTheNoise": ("stochastic-rounding", "a neighbour is chosen", "neither"),
    "MastersInNarrow": ("small-steps", "steps", "masters do not carry it"),
    "MasterWithoutDecay": ("small-steps", "weight decay", "stand still"),
    "KahanDropped": ("small-steps", "steps", "compensation is not added"),
    "KahanWrongSign": ("small-steps", "steps", "compensation is not added"),
    "MastersLostOnLoad": ("narrow-resume", "bfloat16 weights", "resumed"),
    "KahanNotSaved": ("narrow-resume", "bfloat16 weights", "resumed"),
    "EightBitOneScale": ("quantised-state", "blocks of different sizes", "8-bit state"),
    "EightBitLastBlockLost": ("quantised-state", "blocks of different sizes", "8-bit state"),
    "EightBitStoredOnce": ("quantised-state", "blocks of different sizes", "8-bit state"),
    "EightBitUnsigned": ("quantised-state", "different entries in a block", "8-bit state"),
    "EightBitSecondMomentLinear": ("quantised-state", "different entries in a block", "8-bit state"),
    "EightBitScalesNotSaved": ("quantised-state", "resumed", "ends elsewhere"),
}


def findings(law: str, factory: Any, seed: int = 0) -> tuple[Finding, ...]:
    """Return the findings of one law on an optimizer without a contract."""
    return judge(gate_laws()[law], Subject(factory, tags=tags_of(factory, {})), seed=seed)[0]


@pytest.mark.parametrize(("law", "name"), [(law, name) for law, names in HOLDS.items() for name in names])
def test_a_right_twin_holds(law: str, name: str) -> None:
    assert {f.verdict for f in findings(law, getattr(right, name))} == {"holds"}


@pytest.mark.parametrize("name", KILLS)
def test_a_broken_twin_is_a_defect(name: str) -> None:
    law, group, words = KILLS[name]
    found = {f.group: f for f in findings(law, getattr(broken, name))}[group]
    assert (found.verdict, found.severity) == ("violated", "defect")
    assert words in found.diagnosis


def test_a_law_without_its_tag_is_not_applicable() -> None:
    for law in ("stochastic-rounding", "small-steps", "quantised-state"):
        (found,) = findings(law, right.HandAdamW)
        assert (found.verdict, found.open) == ("skipped", False)
        assert "it declares neither" in found.message or "it does not declare the tag" in found.message


def test_a_mean_over_other_draws_holds_as_well() -> None:
    for seed in range(1, 25):
        verdicts = [f.verdict for f in findings("stochastic-rounding", right.StochasticAdamW, seed)]
        assert verdicts == ["holds"] * 4, (seed, verdicts)


def test_a_finding_states_both_error_rates() -> None:
    bias = {f.group: f for f in findings("stochastic-rounding", right.StochasticAdamW)}["bias"]
    assert (bias.kind, bias.n_runs) == ("statistical", DRAWS)
    assert 0.0 < bias.false_pass < bias.false_fail <= 1e-5
    assert bias.detectable is not None
    assert MARGIN < bias.detectable < 0.1


def verdicts_at(expected: float, probability: float) -> dict[str, float]:
    """Return the probability of each verdict on a count, from the exact distribution."""
    low, high = (int(binom.ppf(q, DRAWS, probability)) for q in (1e-9, 1 - 1e-9))
    found = {"holds": 0.0, "violated": 0.0, "inconclusive": 2e-9}
    blocks = [range(first, min(first + 32, high + 1)) for first in range(low, high + 1, 32)]
    while blocks:
        block = blocks.pop()
        first, last = (Count(block[at], DRAWS, expected).verdict for at in (0, -1))
        if first == last:  # the counts of one verdict lie together
            found[first] += float(binom.pmf(block, DRAWS, probability).sum())
        else:
            middle = len(block) // 2
            blocks += [block[:middle], block[middle:]]
    return found


@pytest.mark.parametrize("expected", [0.15, 0.5])
def test_the_error_rates_of_a_count_are_those_stated(expected: float) -> None:
    assert verdicts_at(expected, expected)["inconclusive"] < 1e-4
    detectable = Count(0, DRAWS, expected).detectable
    for side in (-1, 1):
        edge = verdicts_at(expected, expected + side * MARGIN)
        assert edge["violated"] <= stochastic_rounding.FALSE_FAIL
        assert edge["holds"] <= stochastic_rounding.MISS / 2 + 1e-9
        assert verdicts_at(expected, expected + side * detectable)["violated"] >= 0.95


def test_a_measured_share_moves_the_expectation_of_pairs_by_less_than_the_margin() -> None:
    for share in (0.05, 0.5, 0.95):
        off = max(abs(x) for x in Count(round(share * DRAWS), DRAWS, share).interval())
        assert max(abs((share + s * off) ** 2 + (1 - share - s * off) ** 2 - share**2 - (1 - share) ** 2)
                   for s in (-1, 1)) < MARGIN  # fmt: skip
