"""The claims about early and final drops of the learning rate refute wrong trainers and histories."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import (
    decay_halved,
    decay_keeps_the_first_lr,
    decay_left_out,
    decay_twice,
    decay_without_lr,
    decay_written_first,
)
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import after_the_drop, drop_before_equilibrium
from ilr_check.claims.function_space.drop_before_equilibrium import EarlyDrop
from ilr_check.claims.function_space.trainings.early_drops import Early
from ilr_check.claims.function_space.trainings.flow_sweep import FlowSweep
from ilr_check.claims.mean_field.trainings.course import Phase
from ilr_check.data import SplitDigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import UpdateRule, plain

pytestmark = [
    pytest.mark.on_push(
        "test_a_norm_that_forgets_at_another_rate_is_refuted",
        "test_a_right_norm_passes_and_excludes_every_rival[plain]",
        "test_after_a_drop_a_decay_without_lr_is_seen[decay_without_lr-violated]",
        "test_a_late_drop_that_is_early_is_refuted",
    ),
    pytest.mark.usefixtures("compiled"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
NET = MLPSpec(inputs=64, widths=(24,), classes=10)
COURSE = EarlyDrop(
    title="cheap course",
    net=NET,
    data=SplitDigitsSpec(label_noise=0.5),
    phases=(Phase(steps=10), Phase(steps=150, start=0.1, end=0.1)),
    weight_decay=0.064,
    looks=(64,),
)
EARLY = Early(
    title="cheap drops",
    net=NET,
    data=SplitDigitsSpec(label_noise=0.5, held_out=1200),
    planned={
        "dropped after 3": (0.05, 0.19),
        "dropped after 0.1": (0.2, 0.9),
        "dropped after 0.3": (0.08, 0.37),
    },
    weight_decay=0.128,
    looks=(192,),
)
FLOWS = FlowSweep(
    title="cheap flows",
    net=NET,
    data=SplitDigitsSpec(held_out=1500),
    levels=(1.6e-2, 0.128),
    pair=(1.6e-2, 0.128),
    planned={"held-out loss": (0.04, 0.2), "training loss": (0.04, 0.2)},
    sweep_runs=64,
    looks=(64,),
)


def in_world(rule: UpdateRule | None) -> Context:
    return replace(CONTEXT, world=stepping_by(rule) if rule else None)


def norm_verdict(rule: UpdateRule) -> tuple[str, list[str]]:
    subject = msgspec.to_builtins(COURSE)
    found = drop_before_equilibrium.LAW.judge(subject, in_world(rule)).findings
    transfer = next(finding for finding in found if finding.form == "transfer")
    return transfer.verdict, [rival.name for rival in transfer.rivals if not rival.excluded]


@pytest.mark.parametrize("rule", [decay_halved, decay_twice, decay_keeps_the_first_lr])
def test_a_norm_that_forgets_at_another_rate_is_refuted(rule: UpdateRule) -> None:
    assert norm_verdict(rule)[0] == "violated"


@pytest.mark.parametrize("rule", [plain, decay_written_first])
def test_a_right_norm_passes_and_excludes_every_rival(rule: UpdateRule) -> None:
    assert norm_verdict(rule) == ("holds", [])


def function_verdicts(rule: UpdateRule | None = None, **changes: object) -> dict[str, str]:
    early = msgspec.structs.replace(EARLY, **changes)
    found = drop_before_equilibrium.LAW.judge(msgspec.to_builtins(early), in_world(rule)).findings
    return {f.group.removesuffix(": predictions before it"): f.verdict for f in found if f.counts}


def test_early_drops_differ_from_equilibrium_and_late_ones_do_not() -> None:
    assert set(function_verdicts().values()) == {"holds"}


def test_a_late_drop_that_is_early_is_refuted() -> None:
    planned = {"dropped after 0.3": (0.05, 0.19), "dropped after 0.1": (0.2, 0.9)}
    found = function_verdicts(times=(0.1, 0.3), early=0.2, planned=planned)
    assert set(found.values()) == {"violated"}


def test_an_early_drop_that_is_late_is_no_control() -> None:
    planned = {"dropped after 3": (0.05, 0.19), "dropped after 2": (0.05, 0.19)}
    found = function_verdicts(times=(2.0, 3.0), early=2.5, planned=planned)
    assert found == {"dropped after 3/lambda_e": "holds", "dropped after 2/lambda_e": "inconclusive"}


def test_without_decay_no_time_is_late() -> None:
    assert function_verdicts(decay_left_out)["dropped after 3/lambda_e"] == "violated"


def flow_verdicts(rule: UpdateRule | None = None, **changes: object) -> dict[str, str]:
    sweep = msgspec.structs.replace(FLOWS, **changes)
    found = after_the_drop.LAW.judge(msgspec.to_builtins(sweep), in_world(rule)).findings
    return {finding.group: finding.verdict for finding in found if finding.counts}


@pytest.mark.parametrize(
    ("rule", "verdict"), [(decay_written_first, "holds"), (decay_without_lr, "violated")]
)
def test_after_a_drop_a_decay_without_lr_is_seen(rule: UpdateRule, verdict: str) -> None:
    assert set(flow_verdicts(rule).values()) == {verdict}


def test_after_a_drop_lr_counts_where_there_was_no_time_to_forget() -> None:
    assert "holds" not in flow_verdicts(length=0.3).values()


def test_a_pair_outside_the_sweep_is_refused() -> None:
    with pytest.raises(ValueError, match="two of levels"):
        msgspec.structs.replace(FLOWS, pair=(1e-3, 0.128))
