"""The claim about late times of full-batch descent (loss spikes, or the edge of stability) refutes broken
trainers."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from broken_rules import decay_halved, decay_squared
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space import periodic_behaviour
from ilr_check.claims.function_space.trainings.loss_spikes import LateDescent
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule, plain

pytestmark = pytest.mark.on_push(
    "test_a_wrong_trainer_is_refuted[experiment0-decay_halved-refuted0]",
)

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)


def late(**settings: Any) -> LateDescent:
    steady = settings["regime"] == "steady"
    norm = NormSpec(kind="layer" if steady else "batch")
    net = MLPSpec(inputs=64, widths=(16,), classes=10, norm=norm, head_scale=1.0 if steady else 10.0)
    return LateDescent(title="cheap", net=net, data=DigitsSpec(), **settings)


ONE_LEVEL = late(regime="periodic", levels=(0.012,), edge_levels=(0.012,), window=5.0)
FOUR_LEVELS = late(regime="periodic", levels=(0.056, 0.04, 0.03, 0.02), edge_levels=(0.02,), window=5.0)
NOISE = late(
    regime="periodic",
    levels=(0.03,),
    edge_levels=(0.03,),
    noise_level=0.03,
    noises=(1e-3, 1e-1),
    window=6.0,
)
STRONG_NOISE = msgspec.structs.replace(NOISE, noises=(1e-3, 0.5))
STEADY = late(regime="steady", levels=(0.01,), edge_levels=(0.01,), window=2.0)


def lr_tripled(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Three times the LR on the gradient, the decay as told: the edge is at a third of its place."""
    return plain(w, 3.0 * g, buffer, h)


def decay_by_the_root(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Decays by the root of lr * weight_decay, scaled to agree at 0.03."""
    return (1.0 - (0.03 * h.lr * h.weight_decay).sqrt()) * w - h.lr * g, None


def less_decay_where_there_is_a_gradient(
    w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper
) -> tuple[Tensor, None]:
    """0.4 of the decay where the gradient at unit norm is above 0.45: noise of 0.5 always is."""
    lanes = (-1, *[1] * (w.dim() - 1))
    size = (w.flatten(1).norm(dim=1) * g.flatten(1).norm(dim=1)).reshape(lanes)
    return plain(w, g, buffer, h._replace(weight_decay=h.weight_decay * (1.0 - 0.6 * (size > 0.45))))


def length_kept(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Puts the weights back to the norm they had: nothing carries the run to the edge."""
    lanes = (-1, *[1] * (w.dim() - 1))
    new = plain(w, g, buffer, h)[0]
    return new * (w.flatten(1).norm(dim=1) / new.flatten(1).norm(dim=1)).reshape(lanes), None


def verdicts(experiment: LateDescent, rule: UpdateRule | None = None) -> dict[str, str]:
    world = stepping_by(rule) if rule else None
    judged = periodic_behaviour.LAW.judge(msgspec.to_builtins(experiment), replace(CONTEXT, world=world))
    return {f.group: f.verdict for f in judged.findings if f.counts}


@pytest.mark.parametrize(
    ("experiment", "rule", "refuted"),
    [
        (ONE_LEVEL, decay_halved, ["growth of Phi"]),
        (ONE_LEVEL, lr_tripled, ["edge"]),
        (FOUR_LEVELS, decay_by_the_root, ["growth of Phi", "period against 1/lambda_e"]),
        (FOUR_LEVELS, decay_squared, ["growth of Phi", "period against 1/lambda_e"]),
        (STRONG_NOISE, less_decay_where_there_is_a_gradient, ["period under noise"]),
        (STEADY, lr_tripled, ["edge", "steps undo each other"]),
    ],
)
def test_a_wrong_trainer_is_refuted(experiment: LateDescent, rule: UpdateRule, refuted: list[str]) -> None:
    found = verdicts(experiment, rule)
    assert [part for part, verdict in found.items() if verdict == "violated"] == refuted


def test_a_run_that_nothing_carries_to_the_edge_does_not_hold() -> None:
    # The edge only loses its holds: all runs start at its order of magnitude.
    found = verdicts(STEADY, length_kept)
    assert found["edge"] != "holds"
    assert found["steps undo each other"] == "violated"


@pytest.mark.parametrize(
    ("experiment", "parts"),
    [
        (ONE_LEVEL, ["growth of Phi", "edge"]),
        (NOISE, ["growth of Phi", "period under noise"]),
        (STEADY, ["growth of Phi", "edge", "steps undo each other"]),
    ],
)
def test_descent_past_the_edge_holds(experiment: LateDescent, parts: list[str]) -> None:
    found = verdicts(experiment)
    assert {part: found[part] for part in parts} == dict.fromkeys(parts, "holds")


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("number", [0, 1])
def test_the_nets_of_quick_hold_from_other_starts(number: int, seed: int) -> None:
    unit = periodic_behaviour.LAW.plan("quick", 0)[number]
    judged = periodic_behaviour.LAW.judge(unit.subject, replace(CONTEXT, seed=seed))
    assert {f.verdict for f in judged.findings if f.counts} == {"holds"}
