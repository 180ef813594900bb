"""lm-balance refutes weight decay that is 5 per cent wrong or misses a tensor, on a model with one block."""

from __future__ import annotations

import msgspec
import pytest
from wrong_worlds import Decay, FirstTensorSpared, LateDecay, OfRule, WrongDecay

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.language_models import lm_balance
from ilr_check.data.text import text_spec
from ilr_check.nets import TransformerSpec
from ilr_check.train.world import world_of

pytestmark = pytest.mark.nightly

SMALL = TransformerSpec(context=16, width=32, blocks=1, heads=1, mlp_width=32, placement="post")


def judged(wrong: WrongDecay | None) -> dict[str, Finding]:
    spec = msgspec.structs.replace(
        lm_balance.balanced("post", "muon"), net=SMALL, data=text_spec(context=16), looks=(64, 128)
    )
    world = None if wrong is None else world_of(OfRule(wrong, "muon", {}))
    context = Context(seed=7, profile="quick", default_alpha=1e-4, world=world)
    findings = lm_balance.LAW.judge(msgspec.to_builtins(spec), context).findings
    return {finding.group.split()[0]: finding for finding in findings}


@pytest.mark.parametrize(
    "wrong",
    [
        Decay("decay 5 % too strong", 1.05),
        Decay("decay 5 % too weak", 0.95),
        FirstTensorSpared("no decay in the first tensor"),
    ],
    ids=lambda wrong: wrong.name,
)
def test_wrong_weight_decay_is_refuted(wrong: WrongDecay) -> None:
    assert {name: finding.verdict for name, finding in judged(wrong).items()} == {
        "norm": "violated",
        "rotation": "violated",
        "every": "violated",
    }


@pytest.mark.parametrize("wrong", [None, LateDecay("decay after the step")])
def test_right_weight_decay_holds_and_one_after_the_step_is_not_seen(wrong: WrongDecay | None) -> None:
    """Decay after the step is weaker by lr * weight_decay of itself, 1.25 per cent here. Among the steps of
    Muon this is hidden by the rounding of Newton-Schulz in bfloat16."""
    assert {finding.verdict for finding in judged(wrong).values()} == {"holds"}
    assert "after the update" in lm_balance.TEXT.blind
