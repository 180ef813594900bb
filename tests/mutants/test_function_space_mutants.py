"""The claims about deep nets and other norms refute broken trainers and nets without normalisation."""

import math
from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_halved, decay_twice, decay_written_first
from worlds import stepping_by, training

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import deep_bn, other_norms
from ilr_check.claims.function_space.trainings.deep import DeepNet
from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, Level
from ilr_check.data import DigitsSpec, TangentNoise
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.sgd import UpdateRule
from ilr_check.stats import estimate
from ilr_check.theory.depth import gradient_growth

pytestmark = [
    pytest.mark.on_push(
        "test_a_deep_net_shows_what_decay_is_applied[decay_twice-violated]",
        "test_skips_take_the_growth_away",
        "test_the_growth_in_small_batches_excludes_the_limit_of_large_ones",
        "test_weight_norm_with_noise_shows_what_decay_is_applied[decay_twice-violated]",
        "test_weight_norm_with_noise_shows_what_decay_is_applied[decay_written_first-holds]",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
SKIPS = deep_bn.Deep(title="cheap", net=DeepNet(depth=14, width=16, skips=True), looks=(32,))
PLAIN = deep_bn.Deep(title="cheap", net=DeepNet(depth=20, width=16), looks=(32,), burn_in=0.1, window=0.2)


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [(decay_halved, "violated"), (decay_twice, "violated"), (decay_written_first, "holds")],
)
def test_a_deep_net_shows_what_decay_is_applied(rule: UpdateRule, verdict: str) -> None:
    (finding,) = deep_bn.LAW.judge(
        msgspec.to_builtins(SKIPS), replace(CONTEXT, world=stepping_by(rule))
    ).findings
    assert finding.verdict == verdict


def test_a_deep_net_without_normalisation_is_told_from_one_with() -> None:
    slow = msgspec.structs.replace(SKIPS, lr=SKIPS.lr / 1e5, weight_decay=SKIPS.weight_decay * 1e5)
    world = training(DeepNet(depth=14, width=16, normalised=False))
    (finding,) = deep_bn.LAW.judge(msgspec.to_builtins(slow), replace(CONTEXT, world=world)).findings
    assert finding.verdict != "holds"
    assert finding.measured.value == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize(("skips", "verdict"), [(False, "holds"), (True, "violated")])
def test_skips_take_the_growth_away(skips: bool, verdict: str) -> None:
    world = training(msgspec.structs.replace(PLAIN.net, skips=skips))
    tall = msgspec.structs.replace(PLAIN, lr=1e5, weight_decay=1e-6)
    findings = deep_bn.LAW.judge(msgspec.to_builtins(tall), replace(CONTEXT, world=world)).findings
    assert {f.group: f.verdict for f in findings}["growth"] == verdict


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [(decay_halved, "violated"), (decay_twice, "violated"), (decay_written_first, "holds")],
)
def test_weight_norm_with_noise_shows_what_decay_is_applied(rule: UpdateRule, verdict: str) -> None:
    experiment = Equilibrium(
        title="cheap",
        net=MLPSpec(inputs=64, widths=(16,), classes=10, norm=NormSpec(kind="weight_norm")),
        data=DigitsSpec(label_noise=0.5),
        levels=(Level(lr=0.5, weight_decay=0.064),),
        noise=TangentNoise(size=2.0),
        looks=(64,),
        planned_sd=0.05,
    )
    context = replace(CONTEXT, world=stepping_by(rule))
    found = other_norms.LAW.judge(msgspec.to_builtins(experiment), context)
    assert [finding.verdict for finding in found.findings] == [verdict]


def test_the_growth_in_small_batches_excludes_the_limit_of_large_ones() -> None:
    """The closed form for the size of the batch, and not pi/(pi-1), is what nets in batches of 16 show."""
    small = msgspec.structs.replace(PLAIN, net=DeepNet(depth=40, width=64), batch_size=16)
    growth = deep_bn.DeepRuns(small, Lab(CONTEXT, 1.0)).read(deep_bn.GROWTH, 32)
    found = estimate([growth], [1.0], rate=1e-3)
    margin = deep_bn.design(small, deep_bn.GROWTH, 1e-3).margin
    assert margin[0] < found.low < found.high < margin[1]
    assert found.low < math.log(gradient_growth(16)) < found.high
    assert found.low > math.log(gradient_growth())
