"""Wrong samplers, lost parts of a batch and wrong decay against the claim about batch size."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import torch
from broken_rules import decay_halved, decay_squared, decay_twice, decay_written_first

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import batch_size
from ilr_check.claims.mean_field.trainings.batch_noise import Drawn, Traces
from ilr_check.claims.mean_field.trainings.scaling_rule import Ladder
from ilr_check.claims.mean_field.trainings.temperature import Temperature, temperature
from ilr_check.seeds import derive
from ilr_check.train import choice, compiling
from ilr_check.train.fleet import Fleet

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
PARTS = {type(subject): subject for subject in batch_size.subjects("quick")}


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule and batch size would be compiled for itself, which takes longer than these trainings do."""
    monkeypatch.setattr(compiling, "RUN_STEPS_THAT_PAY", 10**9)


def judged(subject: Any, **planted: Any) -> tuple[Finding, ...]:
    return batch_size.judge(msgspec.to_builtins(subject), CONTEXT, **planted).findings


def without_replacement(fleet: Fleet, seeds: Sequence[int]) -> Drawn:
    size, examples = fleet.batches.batch_size, len(fleet.dataset)
    draws = [torch.Generator().manual_seed(derive("shuffled", s)) for s in seeds]
    rows = torch.stack([torch.randperm(examples, generator=g)[:size] for g in draws])
    return rows, torch.full_like(rows, -1)


def two_examples_repeated(fleet: Fleet, seeds: Sequence[int]) -> Drawn:
    rows, _ = without_replacement(fleet, seeds)
    kept = rows[:, torch.arange(rows.shape[1]) % 2]
    return kept, torch.full_like(kept, -1)


def trace() -> Traces:
    subject = PARTS[Traces]
    assert isinstance(subject, Traces)
    return msgspec.structs.replace(subject, pairs=16, planned_sd=0.025, looks=(32,))


def ladder() -> Ladder:
    """The two largest batches, whose time to equilibrium is short."""
    subject = PARTS[Ladder]
    assert isinstance(subject, Ladder)
    return msgspec.structs.replace(subject, cells=subject.cells[-2:], looks=(64,), planned_sd=0.04)


def limit() -> Temperature:
    """At twice the temperature, which takes half the steps."""
    subject = PARTS[Temperature]
    assert isinstance(subject, Temperature)
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


@pytest.mark.parametrize("sampler", [without_replacement, two_examples_repeated])
def test_another_sampler_is_refuted(sampler: Any) -> None:
    assert [f.verdict for f in judged(trace(), sampler=sampler)] == ["violated"]


@pytest.mark.parametrize(
    "planted",
    [{"batch_size": lambda size: 16}, {"rule": decay_halved}, {"rule": decay_twice}],
    ids=["only the first 16 of a batch count", "decay halved", "decay twice"],
)
def test_noise_and_break_refute_a_wrong_trainer(
    planted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(choice.LANES, "cpu", 32)
    few = msgspec.structs.replace(ladder(), planned_sd=None, break_sd=None, looks=(32,), probes=20)
    assert [f.verdict for f in judged(few, **planted)] == ["violated", "violated"]


@pytest.mark.parametrize(
    "planted",
    [{"batch_size": lambda size: 8}, {"rule": decay_squared}],
    ids=["only the first 8 of a batch count", "decay squared"],
)
def test_the_limit_refutes_what_is_no_function_of_lambda_over_batch(
    planted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(choice.LANES, "cpu", 32)
    few = msgspec.structs.replace(limit(), planned={}, looks=(32,))
    verdicts = [f.verdict for f in judged(few, **planted)]
    assert "violated" in verdicts
    assert "holds" not in verdicts


@pytest.mark.parametrize("part", [trace, ladder, limit])
def test_a_right_trainer_passes_and_excludes_every_rival(part: Any) -> None:
    planted = {} if part is trace else {"rule": decay_written_first}
    for finding in judged(part(), **planted):
        assert finding.verdict == "holds"
        assert finding.rivals
        assert all(rival.excluded for rival in finding.rivals)
