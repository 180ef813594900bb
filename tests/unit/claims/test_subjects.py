"""The subjects of statistical claims besides the reference net."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
import torch

from ilr_check.claims import select
from ilr_check.claims.claim import Unit
from ilr_check.claims.settings.subjects import BESIDE, Subject, subjects
from ilr_check.data.sets import load
from ilr_check.nets.build import build

CLAIMS = [claim.id for claim in select("mean-field")]


@cache
def planned(claim: str) -> tuple[Unit, ...]:
    return select(claim)[0].plan("standard", 0)


@cache
def titles() -> Counter[str]:
    return Counter(unit.subject.get("title", "") for claim in CLAIMS for unit in planned(claim))


def test_quick_has_the_reference_net_alone() -> None:
    assert [s.title for s in subjects("any", "quick", 0, beside=tuple(BESIDE))] == ["digits, label noise 0.5"]


@pytest.mark.parametrize("name", BESIDE)
def test_each_net_is_judged_by_several_claims(name: str) -> None:
    assert titles()[BESIDE[name].title] >= 2


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_claim_rests_on_one_net(claim: str) -> None:
    found = {(str(unit.subject.get("net")), str(unit.subject.get("data"))) for unit in planned(claim)}
    assert len(found) >= 2


@pytest.mark.parametrize("subject", BESIDE.values(), ids=lambda subject: subject.title)
def test_nets_fit_their_data(subject: Subject) -> None:
    data = load(subject.data, dtype=torch.float32, device="cpu")
    out = build(subject.net, dtype=torch.float32, device="cpu")(data.x[: subject.batch_size])
    assert out.shape == (subject.batch_size, data.classes)


def test_batches_reach_from_4_to_256() -> None:
    sizes = {s.batch_size for s in BESIDE.values()}
    assert (min(sizes), max(sizes)) == (4, 256)
