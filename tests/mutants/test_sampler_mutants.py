"""The claim about the noise of successive batches refutes wrong samplers."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from worlds import generators_from

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import noise_independence
from ilr_check.train.world import world_of

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
ORDERS = noise_independence.ORDERS
EXAMPLES, BATCH = 256, 32


class Overlapping:
    """Every batch keeps half of the one before."""

    before: Tensor | None = None

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        kept, self.before = self.before, rows[:, BATCH // 2 :].clone()
        return (rows if kept is None else torch.cat([kept, self.before], dim=1)), labels


class WithReplacement:
    """Every example is drawn from all of them."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        found = [torch.randint(EXAMPLES, (BATCH,), generator=g) for g in generators_from(rows)]
        return torch.stack(found), labels


class ShuffledEpochs:
    """All examples are shuffled before each epoch, and then come one after another."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        at = step % (EXAMPLES // BATCH)
        if at == 0:
            self.order = torch.stack([torch.randperm(EXAMPLES, generator=g) for g in generators_from(rows)])
        return self.order[:, at * BATCH : (at + 1) * BATCH], labels


class Returning:
    """Every batch comes back three steps later. Neighbours have nothing in common."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        self.kept = [*self.kept, rows if step % 6 < 3 else self.kept[-3]][-3:]
        return self.kept[-1], labels


class Remembered:
    """A tenth of the last gradient is added to each. The batches are as stated."""

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        before, self.before[name] = self.before.get(name), gradient.clone()
        return gradient if before is None else gradient + 0.1 * before


OTHER = {"with replacement": ShuffledEpochs, "shuffled epochs": WithReplacement}


def judged(order: str, world: Any = None) -> Finding:
    unit = next(u for u in noise_independence.CLAIM.plan("quick", 0) if u.subject["order"] == order)
    context = replace(CONTEXT, world=world_of(world) if world else None)
    (finding,) = noise_independence.CLAIM.judge(unit.subject, context).findings
    return finding


@pytest.mark.parametrize("order", ORDERS)
def test_batches_that_overlap_are_refuted(order: str) -> None:
    assert judged(order, Overlapping).verdict == "violated"


@pytest.mark.parametrize(("order", "world"), list(zip(ORDERS, (Returning, Remembered), strict=True)))
def test_noise_that_is_correlated_in_time_is_refuted(order: str, world: Any) -> None:
    assert judged(order, world).verdict == "violated"


@pytest.mark.parametrize("order", ORDERS)
def test_the_other_way_to_draw_is_refuted(order: str) -> None:
    assert judged(order, OTHER[order]).verdict == "violated"


@pytest.mark.parametrize("order", ORDERS)
def test_the_stated_sampler_passes(order: str) -> None:
    finding = judged(order)
    assert finding.verdict == "holds"
    assert all(rival.excluded for rival in finding.rivals)
