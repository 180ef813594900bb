"""The claims about language models refute broken weight decay, on a model with one block."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pytest

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.language_models import lm_norm_relaxation
from ilr_check.claims.language_models.lm_norm_relaxation import EACH, MEAN
from ilr_check.claims.language_models.trainings import hidden
from ilr_check.data.text import text_spec
from ilr_check.nets import TransformerSpec
from ilr_check.optim.composed import ENDS, GAINS, Composed, Part, composed
from ilr_check.optim.modelled import MODELLED

pytestmark = pytest.mark.nightly

TINY = TransformerSpec(context=16, width=16, blocks=1, heads=1, mlp_width=16, placement="post")
REST = {"beta2": hidden.BETA2, "weight_decay": 0.0}
CONTEXT = Context(seed=7, profile="quick", default_alpha=1e-4)

BROKEN: dict[str, tuple[Part, ...]] = {
    "plain": (Part(name="hidden", rule=MODELLED["muon"]),),
    "half of the decay": (Part(name="hidden", rule=MODELLED["muon"], hyper={"weight_decay": 0.5}),),
    "twice the decay": (Part(name="hidden", rule=MODELLED["muon"], hyper={"weight_decay": 2.0}),),
    "no decay of the queries": (
        Part(name="skipped", rule=MODELLED["muon"], tensors=("q.*",), hyper={"weight_decay": 0.0}),
        Part(name="hidden", rule=MODELLED["muon"]),
    ),
}


@lru_cache(maxsize=8)
def broken(name: str) -> Composed:
    return composed(
        name,
        Part(name="gains", rule=MODELLED["adamw"], tensors=GAINS, hyper=REST),
        Part(name="ends", rule=MODELLED["adamw"], tensors=ENDS, hyper=REST),
        *BROKEN[name],
    )


def judged(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    monkeypatch.setattr(hidden, "hidden_rule", lambda rule: broken(name))
    law = lm_norm_relaxation.LAW
    spec = msgspec.structs.replace(
        lm_norm_relaxation.switch("post", "muon"), net=TINY, data=text_spec(context=16)
    )
    findings = law.judge(msgspec.to_builtins(spec), CONTEXT).findings
    return {finding.group: finding for finding in findings}


@pytest.mark.parametrize(
    ("name", "refuting"),
    [("half of the decay", MEAN), ("twice the decay", MEAN), ("no decay of the queries", EACH)],
)
def test_wrong_weight_decay_is_refuted(name: str, refuting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = judged(name, monkeypatch)[refuting]
    low, high = finding.measured.low, finding.measured.high
    room = finding.margin.high
    assert low is not None
    assert high is not None
    assert room is not None
    # The whole interval is outside of the margin. The premise may fail too, and then the verdict is
    # `inconclusive`; in no case is it `holds`.
    assert high < -room or low > room
    assert finding.verdict in ("violated", "inconclusive")


def test_the_right_weight_decay_is_not_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {finding.verdict for finding in judged("plain", monkeypatch).values()} <= {"holds", "inconclusive"}
