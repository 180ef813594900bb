"""What the statistical claims are judged on beyond the reference net."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from ilr_check.claims import select
from ilr_check.claims.settings.subjects import BESIDE, Subject, subjects
from ilr_check.data.sets import load
from ilr_check.nets.build import build

PLANS = {claim.id: claim.plan("standard", 0) for claim in select("mean-field")}
TITLES = Counter(unit.subject.get("title", "") for units in PLANS.values() for unit in units)


def test_quick_has_the_reference_net_alone() -> None:
    assert [s.title for s in subjects("any", "quick", 0, beside=tuple(BESIDE))] == ["digits, label noise 0.5"]


@pytest.mark.parametrize("name", BESIDE)
def test_each_net_is_judged_by_several_claims(name: str) -> None:
    assert TITLES[BESIDE[name].title] >= 2


@pytest.mark.parametrize("claim", PLANS)
def test_no_claim_rests_on_one_net(claim: str) -> None:
    found = {(str(unit.subject.get("net")), str(unit.subject.get("data"))) for unit in PLANS[claim]}
    assert len(found) >= 2


@pytest.mark.parametrize("subject", BESIDE.values(), ids=lambda subject: subject.title)
def test_nets_fit_their_data(subject: Subject) -> None:
    data = load(subject.data, dtype=torch.float32, device="cpu")
    out = build(subject.net, dtype=torch.float32, device="cpu")(data.x[: subject.batch_size])
    assert out.shape == (subject.batch_size, data.classes)


def test_batches_reach_from_4_to_256() -> None:
    sizes = {s.batch_size for s in BESIDE.values()}
    assert (min(sizes), max(sizes)) == (4, 256)
