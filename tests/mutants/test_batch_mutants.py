"""The claim about batch size refutes wrong samplers, lost parts of a batch and wrong decay."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
import torch
from broken_rules import decay_halved, decay_squared, decay_twice, decay_written_first
from torch import Tensor
from worlds import generators_from, stepping_by

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import batch_size
from ilr_check.claims.mean_field.trainings.batch_noise import Traces
from ilr_check.claims.mean_field.trainings.scaling_rule import Ladder
from ilr_check.claims.mean_field.trainings.temperature import Temperature, temperature
from ilr_check.claims.settings.nets import STUDENT
from ilr_check.train import choice
from ilr_check.train.world import World, world_of

pytestmark = [
    pytest.mark.on_push(
        "test_a_right_trainer_passes_and_excludes_every_rival[ladder]",
        "test_noise_and_break_refute_a_wrong_trainer[decay halved]",
        "test_the_limit_refutes_what_is_no_function_of_lambda_over_batch[decay squared]",
        "test_another_sampler_is_refuted",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)


class WithoutReplacement:
    """No example comes twice in a batch."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        orders = [torch.randperm(STUDENT.examples, generator=g) for g in generators_from(rows)]
        found = torch.stack(orders)[:, : rows.shape[1]]
        return found, torch.full_like(found, -1)


class TwoExamplesRepeated(WithoutReplacement):
    """A batch of any size has only two different examples."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        found, kept = super().batch(rows, labels, step)
        return found[:, torch.arange(rows.shape[1]) % 2], kept


@dataclass
class Repeated:
    """Of a batch only the first ``size`` examples count, because the others repeat them."""

    size: int

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        kept = torch.arange(rows.shape[1]) % self.size
        return rows[:, kept], labels[:, kept]


class AQuarterOfLargeBatches:
    """Of a batch of 32 every fourth example counts, of a batch of 8 all do; SVAG draws two batches a step."""

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        at = torch.arange(rows.shape[1])
        kept = at if len(at) <= 16 else at // 4 * 4
        return rows[:, kept], labels[:, kept]


def judged(subject: Any, world: World | None) -> tuple[Finding, ...]:
    return batch_size.CLAIM.judge(msgspec.to_builtins(subject), replace(CONTEXT, world=world)).findings


def trace() -> Traces:
    (subject,) = batch_size.traces("quick", 0)
    return msgspec.structs.replace(subject, pairs=16, planned_sd=0.025, looks=(32,))


def ladder() -> Ladder:
    """Only the two largest batches, whose time to equilibrium is short."""
    (subject,) = batch_size.ladders("quick", 0)
    return msgspec.structs.replace(subject, cells=subject.cells[-2:], looks=(64,), planned_sd=0.04)


def limit() -> Temperature:
    """At twice the temperature, which takes half the steps."""
    (subject,) = batch_size.limits("quick", 0)
    found = temperature(
        "cheap",
        subject.net,
        subject.data,
        reference=msgspec.structs.replace(subject.cells[0], weight_decay=0.064),
        factor=4,
        by="lr",
        planned={"loss": (0.02, 0.2), "temperature": (400.0, 8000.0)},
    )
    return msgspec.structs.replace(found, looks=(64,), burn_in=2.0, window=3.0)


@pytest.mark.parametrize("sampler", [WithoutReplacement, TwoExamplesRepeated])
def test_another_sampler_is_refuted(sampler: Any) -> None:
    assert [f.verdict for f in judged(trace(), world_of(sampler))] == ["violated"]


@pytest.mark.parametrize(
    "world",
    [world_of(Repeated(16)), stepping_by(decay_halved), stepping_by(decay_twice)],
    ids=["only the first 16 of a batch count", "decay halved", "decay twice"],
)
def test_noise_and_break_refute_a_wrong_trainer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(choice.LANES, "cpu", 32)
    few = msgspec.structs.replace(ladder(), planned_sd=None, break_sd=None, looks=(32,), probes=20)
    assert [f.verdict for f in judged(few, world)] == ["violated", "violated"]


@pytest.mark.parametrize(
    "world",
    [world_of(AQuarterOfLargeBatches), stepping_by(decay_squared)],
    ids=["only 8 of a batch count", "decay squared"],
)
def test_the_limit_refutes_what_is_no_function_of_lambda_over_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(choice.LANES, "cpu", 32)
    few = msgspec.structs.replace(limit(), planned={}, looks=(32,))
    verdicts = [f.verdict for f in judged(few, world)]
    assert "violated" in verdicts
    assert "holds" not in verdicts


@pytest.mark.parametrize("part", [trace, ladder, limit])
def test_a_right_trainer_passes_and_excludes_every_rival(part: Any) -> None:
    for finding in judged(part(), None if part is trace else stepping_by(decay_written_first)):
        assert finding.verdict == "holds"
        assert finding.rivals
        assert all(rival.excluded for rival in finding.rivals)
