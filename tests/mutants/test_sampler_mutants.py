"""Broken samplers against the claim about the noise of successive batches."""

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import noise_independence
from ilr_check.claims.mean_field.noise_independence import Sampler, Sampling, drawn

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
ORDERS = ("with replacement", "shuffled epochs")


def overlapping(sampling: Sampling, seed: int) -> NDArray[np.intp]:
    """Every batch keeps half of the one before."""
    index = drawn(sampling, seed)
    half = sampling.batch_size // 2
    index[:, 1:, :half] = index[:, :-1, half:]
    return index


def other_order(sampling: Sampling, seed: int) -> NDArray[np.intp]:
    """The other way to draw than the one that is stated."""
    (other,) = {*ORDERS} - {sampling.order}
    return drawn(msgspec.structs.replace(sampling, order=other), seed)


def judged(order: str, sampler: Sampler) -> Finding:
    unit = next(u for u in noise_independence.CLAIM.plan("quick", 0) if u.subject["order"] == order)
    (finding,) = noise_independence.judge(unit.subject, CONTEXT, sampler=sampler).findings
    return finding


@pytest.mark.parametrize("sampler", [overlapping, other_order])
@pytest.mark.parametrize("order", ORDERS)
def test_a_wrong_sampler_is_refuted(order: str, sampler: Sampler) -> None:
    assert judged(order, sampler).verdict == "violated"


@pytest.mark.parametrize("order", ORDERS)
def test_the_stated_sampler_passes(order: str) -> None:
    finding = judged(order, drawn)
    assert finding.verdict == "holds"
    assert all(rival.excluded for rival in finding.rivals)
