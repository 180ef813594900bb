"""The parts of the search for a counter-example that Hypothesis does not do."""

import pytest
from hypothesis import strategies as st

from ilr_check.claims.search import search


def test_two_ways_to_fail_give_one_smallest_example() -> None:
    def attempt(number: int) -> None:
        if number > 100:
            raise AssertionError("large")
        if number < -100:
            raise AssertionError("small")

    assert search(st.integers(-(10**6), 10**6), attempt, examples=500, seed=1) in (101, -101)


def test_nothing_found_is_none() -> None:
    assert search(st.integers(), lambda number: None, examples=20, seed=1) is None


def test_a_defect_of_the_claim_is_no_counter_example() -> None:
    def attempt(number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search(st.integers(), attempt, examples=20, seed=1)
