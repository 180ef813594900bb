"""The table of usual recipes, worked out by hand."""

import math

import pytest

from ilr_check.claims.claim import Context, Profile
from ilr_check.claims.function_space.drop_before_equilibrium import CLAIM
from ilr_check.claims.settings.recipes import ARRIVED, CIFAR_EPOCH, RECIPES, drawn, words


@pytest.mark.parametrize(
    ("recipe", "steps"),
    # 1/(4 lr wd/(1 - momentum)) for SGD, 1/(2 lr wd) for AdamW.
    [
        (RECIPES[0], 5_000),
        (RECIPES[1], 500),
        (RECIPES[2], 625),
        (RECIPES[3], 5_000),
        (RECIPES[4], 16_667),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_time_constants(recipe, steps: int) -> None:  # type: ignore[no-untyped-def]
    assert recipe.time_constant == pytest.approx(steps, rel=1e-4)


def test_epochs() -> None:
    assert math.ceil(50_000 / 128) == CIFAR_EPOCH
    assert RECIPES[0].time_constant / CIFAR_EPOCH == pytest.approx(12.8, abs=0.02)


def test_progress_of_the_phases() -> None:
    # 4 * 5e-4 * (32 000, 1 600, 160)
    assert RECIPES[1].progress() == pytest.approx([64.0, 3.2, 0.32], rel=1e-12)
    # 2 * 3e-5 * 0.55 * 100 000
    assert RECIPES[4].progress() == pytest.approx([3.3], rel=1e-12)


def test_where_a_drop_by_ten_has_arrived() -> None:
    # [10 + 90 e^-s]^(-1/2) = 0.9 / sqrt(10)
    assert (10.0 + 90.0 * math.exp(-ARRIVED)) ** -0.5 == pytest.approx(0.9 * 10**-0.5, rel=1e-12)


def test_the_first_phase_arrives_and_the_later_ones_do_not() -> None:
    stepwise = [recipe.progress() for recipe in RECIPES[:3]]
    assert all(progress[0] > ARRIVED for progress in stepwise)
    assert all((progress[1:] < ARRIVED).all() for progress in stepwise)


def test_words_and_figure_hold_every_recipe() -> None:
    text = words()
    assert all(recipe.name in text for recipe in RECIPES)
    assert "12.8 epochs" in text
    assert [series.name for series in drawn("x").series][:-1] == [recipe.name for recipe in RECIPES]


def test_the_table_is_a_unit_of_its_own_and_judges_nothing() -> None:
    table = CLAIM.plan("quick", 0)[-1]
    assert not table.decisions
    judged = CLAIM.judge(table.subject, Context(seed=0, profile="quick"))
    (finding,), (figure,) = judged.findings, judged.figures
    assert (finding.verdict, finding.counts, finding.figure) == ("skipped", False, figure.name)
    assert finding.measured.value == pytest.approx(3.2, rel=1e-12)


def test_a_recipe_is_scaled_with_its_progress() -> None:
    # 32 times lambda_e in the first phase, so a 32nd of the steps; 320 times where there is no momentum.
    assert RECIPES[1].scaled(0.016) == ((1.0, 1000), (0.1, 500), (0.01, 500))
    assert RECIPES[0].scaled(0.016) == ((1.0, 100), (0.1, 50), (0.01, 50))
    with pytest.raises(ValueError, match="fixed size"):
        RECIPES[4].scaled(0.016)


@pytest.mark.parametrize(("profile", "count"), [("quick", 1), ("standard", 3)])
def test_quick_runs_one_recipe_and_standard_all_of_sgd(profile: Profile, count: int) -> None:
    titles = [unit.title for unit in CLAIM.plan(profile, 0)]
    assert sum("digits, recipe: SGD" in title for title in titles) == count
    assert sum("functions of the recipe" in title for title in titles) == count
