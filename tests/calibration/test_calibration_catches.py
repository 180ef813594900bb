"""The calibration can fail: wrong analyses are judged by the same code and are caught."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ilr_check.stats import Design, MeanEquivalence, Rates
from ilr_check.stats.calibration import FULL, Study, measure, situations
from ilr_check.stats.calibration.measure import Cell, clopper_pearson
from ilr_check.stats.intervals import contrast, moments, student

REPLICATES = 20_000


def design(margin: float, runs: int = 64) -> MeanEquivalence:
    return MeanEquivalence(
        estimand="a number with known truth",
        margin=(-margin, margin),
        margin_reason="the truth is known",
        looks=(runs,),
        false_fail=1e-3,
    )


def normal_runs(generator: np.random.Generator, replicates: int, at: float) -> Any:
    return at + generator.standard_normal((replicates, 64))


RIGHT = Study(
    decision="mean",
    situation="normal",
    design=design(0.5),
    draw=normal_runs,
    within=(0.5,),
    beyond=(0.5,),
)


def pooled_steps(generator: np.random.Generator, replicates: int, at: float) -> Any:
    """Judge eight runs of 16 dependent steps as if they were 128 independent runs."""
    series = situations.autoregressive(generator, replicates * 8, 16, 0.9)
    return at + series.reshape(replicates, 128)


def peeking(design: Design, data: Any, rates: Rates) -> tuple[Any, Any]:
    """Spend the full error rate at each of ten interim analyses, and stop at the first that decides."""
    holds, violated = np.zeros((2, data.shape[0]), bool)
    for runs in range(32, 321, 32):
        reading = design.read(design.summary(data[:, :runs]), rates)
        undecided = ~(holds | violated)
        holds |= undecided & reading.inside
        violated |= undecided & reading.outside
    return holds, violated


def student_alone(design: Design, data: Any, rates: Rates) -> tuple[Any, Any]:
    """Use Student's interval, which ignores skewness."""
    value = contrast(moments([data]), [1.0])
    low, high = student(value, rates.false_pass)
    fail_low, fail_high = student(value, rates.false_fail / 2)
    bottom, top = design.margin
    return (low > bottom) & (high < top), (fail_low > top) | (fail_high < bottom)


WRONG = {
    # The finite-size correction is 0.5; a margin derived as half of it blames a theory that is right.
    "mis-derived margin": (replace(RIGHT, design=design(0.25)), {"false fail"}),
    "pooled time steps": (replace(RIGHT, draw=pooled_steps), {"false fail", "false pass"}),
    "uncorrected looks": (
        replace(
            RIGHT,
            judge=peeking,
            draw=lambda generator, replicates, at: at + generator.standard_normal((replicates, 320)),
        ),
        {"false fail", "false pass"},
    ),
    "Student's interval alone on skewed runs": (
        replace(
            RIGHT,
            judge=student_alone,
            within=(-0.5,),
            draw=lambda generator, replicates, at: at + situations.gamma(2)(generator, (replicates, 64)),
        ),
        {"false fail", "false pass"},
    ),
}


def broken(study: Study) -> list[Cell]:
    return [cell for cell in measure([study], replicates=REPLICATES) if cell.fails]


def test_the_right_analysis_passes() -> None:
    assert not broken(RIGHT)


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_analysis_is_caught(mistake: str) -> None:
    study, kinds = WRONG[mistake]
    assert {cell.what for cell in broken(study)} == kinds


@pytest.mark.parametrize(
    "study", [study for study in FULL if study.outside], ids=lambda study: study.situation
)
def test_situations_that_the_promise_does_not_cover_are_often_noticed(study: Study) -> None:
    cells = measure([replace(study, replicates=REPLICATES)])
    assert min(cell.noticed for cell in cells) > 0.25
    assert not any(cell.fails for cell in cells)


@pytest.mark.parametrize(("count", "replicates"), [(0, 50), (3, 50), (217, 200_000), (50, 50)])
def test_limits_are_those_of_statsmodels(count: int, replicates: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    expected = proportion_confint(count, replicates, alpha=2e-3, method="beta")
    assert clopper_pearson(count, replicates, 1e-3) == pytest.approx(expected)
