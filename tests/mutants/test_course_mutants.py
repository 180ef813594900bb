"""The claims about whole schedules refute broken trainers, on cheap subjects."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from broken_rules import decay_halved, decay_keeps_the_first_lr, decay_twice, decay_written_first
from worlds import stepping_by

from ilr_check.claims.claim import Context, Judged
from ilr_check.claims.mean_field import gamma_ode, schedule_law
from ilr_check.claims.mean_field.trainings.course import Phase, ScheduledTraining
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_a_right_trainer_passes_and_excludes_every_rival[gamma-ode-None]",
        "test_a_wrong_decay_is_refuted[gamma-ode-decay_twice]",
        "test_a_wrong_decay_is_refuted[schedule-law-decay_twice]",
    ),
    pytest.mark.usefixtures("compiled"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
COURSE = ScheduledTraining(
    title="cheap course",
    net=MLPSpec(inputs=64, widths=(24,), classes=10),
    data=DigitsSpec(label_noise=0.5),
    phases=(Phase(steps=60, start=0.0, end=1.0), Phase(steps=150, start=0.2, end=0.2)),
    weight_decay=0.064,
    burn_in=80,
    looks=(64,),
)
LAWS = {"gamma-ode": gamma_ode.LAW, "schedule-law": schedule_law.LAW}


def judged(law: Any, rule: UpdateRule | None) -> Judged:
    context = replace(CONTEXT, world=stepping_by(rule) if rule else None)
    judged: Judged = law.judge(msgspec.to_builtins(COURSE), context)
    return judged


def verdicts(found: Judged) -> dict[str, str]:
    return {finding.form: finding.verdict for finding in found.findings}


@pytest.mark.parametrize("rule", [decay_halved, decay_twice, decay_keeps_the_first_lr])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_wrong_decay_is_refuted(law: Any, rule: Any) -> None:
    assert verdicts(judged(law, rule)) == {"identity": "violated", "transfer": "violated"}


@pytest.mark.parametrize("rule", [None, decay_written_first])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_right_trainer_passes_and_excludes_every_rival(law: Any, rule: Any) -> None:
    found = judged(law, rule)
    assert verdicts(found) == {"identity": "holds", "transfer": "holds"}
    transfer = next(finding for finding in found.findings if finding.form == "transfer")
    assert [rival.name for rival in transfer.rivals if not rival.excluded] == []
    assert [rival.name for rival in transfer.rivals][: len(law.text.rivals)] == list(law.text.rivals)
