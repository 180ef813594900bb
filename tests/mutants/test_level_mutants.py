"""The claims about equilibrium refute broken trainers, on cheap subjects.

A claim about a ratio of norms is also judged on a defect that multiplies both norms. Its ratio does not see
it, and the steps of its trainings do.
"""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from broken_rules import decay_halved, decay_keeps_the_first_lr, decay_twice, decay_written_first
from torch import Tensor
from worlds import stepping_as, stepping_by

from ilr_check.claims import soundness
from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import (
    adaptive_equilibrium,
    angular_update,
    equilibrium_effective_lr,
    intrinsic_parameter,
    momentum_equilibrium,
    norm_offset,
)
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, Level
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.sgd import StepHyper, UpdateRule, heavy_ball, nesterov
from ilr_check.train.world import World

pytestmark = [
    pytest.mark.on_push(
        "test_a_planted_defect_is_refuted[angular-update-sgd-decay_twice]",
        "test_a_planted_defect_is_refuted[equilibrium-effective-lr-sgd-decay_twice]",
        "test_a_planted_defect_is_refuted[momentum-equilibrium-heavy-ball-averaging]",
        "test_a_planted_defect_is_refuted[norm-offset-sgd-decay_keeps_the_first_lr]",
    ),
    pytest.mark.usefixtures("compiled"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
PLAIN = tuple(Level(lr=0.5, weight_decay=wd) for wd in (0.032, 0.064))
HEAVY = tuple(
    Level(lr=lr, weight_decay=0.032, rule="heavy-ball", momentum=mu) for lr, mu in ((0.05, 0.9), (0.25, 0.5))
)
DAMPENED = momentum_equilibrium.LEVELS[1]
ONE_LAMBDA = tuple(Level(lr=lr, weight_decay=0.032 / lr) for lr in (0.5, 0.1, 2.0))

LEVELS: dict[str, tuple[Any, tuple[Level, ...]]] = {
    "equilibrium-effective-lr": (equilibrium_effective_lr.LAW, PLAIN),
    # Without a level with momentum one rival would equal the theory, and no statement could hold.
    "angular-update": (angular_update.LAW, (PLAIN[0], HEAVY[0])),
    "norm-offset": (norm_offset.LAW, ONE_LAMBDA),
    "momentum-equilibrium": (momentum_equilibrium.LAW, HEAVY),
}


def averaging(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """The buffer averages instead of adding up."""
    assert buffer is not None
    buffer = h.momentum * buffer + (1.0 - h.momentum) * (g + h.weight_decay * w)
    return w - h.lr * buffer, buffer


def decay_outside(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """Decay that does not pass through the buffer."""
    assert buffer is not None
    buffer = h.momentum * buffer + g
    return (1.0 - h.lr * h.weight_decay) * w - h.lr * buffer, buffer


def never_dampened(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """The buffer takes the whole gradient and ignores the dampening, which a world does not get."""
    return heavy_ball(w, g, buffer, h)


def decay_not_dampened(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """Dampens the gradient alone. torch dampens the sum of gradient and decay."""
    assert buffer is not None
    buffer = h.momentum * buffer + (1.0 - DAMPENED.dampening) * g + h.weight_decay * w
    return w - h.lr * buffer, buffer


def buffer_ahead_alone(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """Nesterov's look-ahead leaves out the gradient of this step."""
    assert buffer is not None
    buffer = h.momentum * buffer + g + h.weight_decay * w
    return w - h.lr * h.momentum * buffer, buffer


def decay_not_ahead(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, Tensor]:
    """Nesterov's form on the gradient, decay outside the buffer."""
    assert buffer is not None
    buffer = h.momentum * buffer + g
    return (1.0 - h.lr * h.weight_decay) * w - h.lr * (g + h.momentum * buffer), buffer


def judged(law: str, world: World | None = None) -> Finding:
    claim, levels = LEVELS[law]
    experiment = Equilibrium(
        title="cheap",
        net=MLPSpec(inputs=64, widths=(24,), classes=10),
        data=DigitsSpec(label_noise=0.5),
        levels=levels,
        looks=(64,),
        planned_sd=0.02 if law == "angular-update" else 0.05,
        burn_in=3.0,
        window=8.0 if law == "angular-update" else 4.0,
    )
    found = claim.judge(msgspec.to_builtins(experiment), replace(CONTEXT, world=world)).findings
    (finding,) = (finding for finding in found if finding.counts)
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize(
    ("law", "form", "rule"),
    [
        ("equilibrium-effective-lr", "sgd", decay_halved),
        ("equilibrium-effective-lr", "sgd", decay_twice),
        ("angular-update", "sgd", decay_halved),
        ("angular-update", "sgd", decay_twice),
        ("angular-update", "heavy-ball", decay_outside),
        ("angular-update", "heavy-ball", nesterov),
        ("norm-offset", "sgd", decay_keeps_the_first_lr),
        ("momentum-equilibrium", "heavy-ball", averaging),
        ("momentum-equilibrium", "heavy-ball", decay_outside),
    ],
)
def test_a_planted_defect_is_refuted(law: str, form: str, rule: UpdateRule) -> None:
    assert judged(law, stepping_by(rule, replaces=(form,))).verdict == "violated"


def test_a_norm_that_still_moves_leaves_the_rotation_open() -> None:
    """With a buffer that averages, the norm forgets ten times slower and is not at equilibrium yet."""
    finding = judged("angular-update", stepping_by(averaging, replaces=("heavy-ball",)))
    assert finding.verdict == "inconclusive"
    assert [premise.met for premise in finding.premises] == [False]


@pytest.mark.parametrize(
    ("form", "rule", "runs", "verdict"),
    [
        ("heavy-ball", None, 64, "holds"),
        ("heavy-ball", never_dampened, 64, "violated"),
        ("heavy-ball", decay_not_dampened, 64, "violated"),
        # This rule is off by 5 %, and the others by 30 % and more. With 64 runs the smaller layer is
        # inconclusive.
        ("nesterov", buffer_ahead_alone, 128, "violated"),
        ("nesterov", decay_not_ahead, 64, "violated"),
    ],
)
def test_dampening_and_nesterov_are_judged_where_noise_dominates(
    form: str, rule: UpdateRule | None, runs: int, verdict: str
) -> None:
    law = momentum_equilibrium.LAW
    _, dampened, _, ahead = (
        msgspec.structs.replace(level, weight_decay=0.032) for level in momentum_equilibrium.LEVELS
    )
    control = msgspec.structs.replace(law.experiments("quick", 0)[0], levels=(dampened, ahead), looks=(runs,))
    context = replace(CONTEXT, world=stepping_by(rule, replaces=(form,)) if rule else None)
    findings = law.judge(msgspec.to_builtins(control), context).findings
    assert {finding.verdict for finding in findings} == {verdict}


def test_a_reader_is_told_whether_the_norm_stood_still() -> None:
    (still,) = judged("angular-update").premises
    assert still.met
    moved, *_ = judged("angular-update", stepping_by(averaging, replaces=("heavy-ball",))).premises
    assert (moved.name, moved.met) == (still.name, False)


@pytest.mark.parametrize("rule", [decay_halved, decay_twice])
def test_a_factor_on_every_decay_cancels_in_the_ratio_of_norms_and_costs_the_holds(rule: UpdateRule) -> None:
    finding = judged("norm-offset", stepping_by(rule, replaces=("sgd",)))
    assert finding.verdict == "inconclusive"
    assert finding.measured.low is not None
    assert finding.margin.low is not None
    assert finding.measured.low > finding.margin.low
    assert [premise.name for premise in finding.premises] == [soundness.STEP, soundness.RULE]


@pytest.mark.parametrize("law", LEVELS)
def test_a_right_trainer_passes_and_excludes_every_rival(law: str) -> None:
    # The claim about momentum has no training by plain SGD that the rule could stand in for.
    plain_sgd = law != "momentum-equilibrium"
    finding = judged(law, stepping_by(decay_written_first, replaces=("sgd",)) if plain_sgd else None)
    assert finding.verdict == "holds"
    assert [rival.name for rival in finding.rivals if not rival.excluded] == []
    assert set(LEVELS[law][0].text.rivals) < {rival.name for rival in finding.rivals}


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [("adamw", "holds"), ("adam", "violated"), ("nadamw", "violated"), ("lion", "violated")],
)
def test_one_family_is_not_another(rule: str, verdict: str) -> None:
    law = adaptive_equilibrium.LAW
    (experiment,) = law.experiments("quick", 0)
    adamw = msgspec.structs.replace(
        experiment,
        levels=experiment.levels[:1],
        initial_norms=experiment.initial_norms[:1],
        burn_in=0.75,
        window=1.0,
        looks=(64,),
    )
    context = replace(CONTEXT, world=_in_place_of_adamw(rule, experiment.levels[0].hyper))
    finding = law.judge(msgspec.to_builtins(adamw), context).findings[0]
    assert finding.verdict == verdict


def _in_place_of_adamw(rule: str, hyper: dict[str, float]) -> World | None:
    """The world in which AdamW steps as another family does, with its own hyper-parameters."""
    return None if rule == "adamw" else stepping_as(MODELLED[rule], "adamw", **hyper)


@pytest.mark.parametrize(("rule", "verdict"), [("adamw", "holds"), ("adam", "violated")])
def test_the_other_coupling_has_another_intrinsic_parameter(rule: str, verdict: str) -> None:
    law = intrinsic_parameter.LAW
    (experiment,) = law.experiments("quick", 0)
    two = msgspec.structs.replace(
        experiment,
        net=MLPSpec(inputs=64, widths=(24,), classes=10),
        levels=experiment.levels[:4],
        initial_norms=experiment.initial_norms[:4],
        looks=(64,),
    )
    context = replace(CONTEXT, world=_in_place_of_adamw(rule, two.levels[0].hyper))
    finding = law.judge(msgspec.to_builtins(two), context).findings[0]
    assert finding.verdict == verdict
