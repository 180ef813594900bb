"""The error budget of a run: how many false ``holds`` it may expect."""

from __future__ import annotations

import pytest

from ilr_check.stats.budget import FALSE_PASS, false_pass_of


@pytest.mark.parametrize(("claims", "decisions"), [(34, 150), (2, 18), (1, 1), (21, 1000)])
def test_the_expected_false_holds_stay_below_a_hundredth_of_the_claims(claims: int, decisions: int) -> None:
    rate = false_pass_of(claims, decisions)
    assert rate * decisions <= 0.01 * claims * (1 + 1e-12)
    assert rate <= FALSE_PASS


def test_a_run_without_decisions_has_the_usual_rate() -> None:
    assert false_pass_of(0, 0) == FALSE_PASS
