"""The claim about heavy tails refutes broken trainers and noise of another tail index, on one cheap
subject."""

from dataclasses import dataclass, replace

import msgspec
import pytest
from broken_rules import (
    decay_halved,
    decay_keeps_the_first_lr,
    decay_squared,
    decay_written_first,
    lr_not_dropped,
)
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import heavy_tails
from ilr_check.claims.mean_field.trainings.tailed import Tailed
from ilr_check.data import HeavyTailedNoise, NoiseSpec, TeacherStudentSpec
from ilr_check.nets.specs import MLPSpec, NormSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule
from ilr_check.train.world import World, world_of

pytestmark = [
    pytest.mark.on_push(
        "test_a_planted_defect_is_refuted[end of the drop-decay_keeps_the_first_lr]",
        "test_noise_without_a_variance_is_refuted_where_one_is_promised",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
HEAVY = Tailed(
    title="cheap",
    net=MLPSpec(inputs=16, widths=(8,), classes=10, norm=NormSpec(kind="layer")),
    data=TeacherStudentSpec(inputs=16, classes=10, examples=64, label_noise=0.5),
    noise=HeavyTailedNoise(size=60.0, tail=1.5),
    decays=(0.64, 0.32, 0.16, 0.08),
    batch_size=8,
    looks=(96,),
)
LIGHT = msgspec.structs.replace(HEAVY, noise=HeavyTailedNoise(size=60.0, tail=4.0), window=6.0, looks=(64,))


@dataclass
class OtherNoise:
    """The added noise differs from the stated noise."""

    added: HeavyTailedNoise

    def noise(self, spec: NoiseSpec | None) -> NoiseSpec | None:
        return self.added if spec else None


def judged(tailed: Tailed, world: World | None = None) -> dict[str, Finding]:
    """Return the findings by the name of their decision."""
    context = replace(CONTEXT, world=world)
    findings = heavy_tails.CLAIM.judge(msgspec.to_builtins(tailed), context).findings
    return dict(zip(heavy_tails.DESIGNS, findings, strict=True))


def clipped(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Gradients cut off at three times the shortest Pareto length, at unit norm."""
    sizes = w.flatten(1).norm(dim=1) * g.flatten(1).norm(dim=1)
    kept = (3.0 * HEAVY.noise.size / sizes).clamp(max=1.0)
    return w * (1.0 - h.lr * h.weight_decay) - h.lr * kept.reshape(-1, *[1] * (w.dim() - 1)) * g, None


@pytest.mark.parametrize("tailed", [HEAVY, LIGHT], ids=["tail 1.5", "tail 4"])
def test_a_right_trainer_passes_and_excludes_every_rival(tailed: Tailed) -> None:
    findings = judged(tailed, stepping_by(decay_written_first))
    assert {name: finding.verdict for name, finding in findings.items()} == dict.fromkeys(findings, "holds")
    assert all(rival.excluded for finding in findings.values() for rival in finding.rivals)


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("level and rotation", decay_halved),
        ("exponent", decay_squared),
        ("end of the drop", lr_not_dropped),
        ("end of the drop", decay_keeps_the_first_lr),
    ],
)
def test_a_planted_defect_is_refuted(part: str, rule: UpdateRule) -> None:
    assert judged(LIGHT, stepping_by(rule))[part].verdict == "violated"


def test_gradients_that_are_clipped_are_refuted() -> None:
    findings = judged(HEAVY, stepping_by(clipped))
    assert {finding.verdict for finding in findings.values()} == {"violated"}


def test_noise_that_has_a_variance_is_refuted_where_it_should_have_none() -> None:
    findings = judged(HEAVY, world_of(OtherNoise(LIGHT.noise)))
    assert {findings[part].verdict for part in ("exponent", "end of the drop")} == {"violated"}


def test_noise_without_a_variance_is_refuted_where_one_is_promised() -> None:
    assert judged(LIGHT, world_of(OtherNoise(HEAVY.noise)))["exponent"].verdict == "violated"


def test_nothing_is_decided_where_the_nets_own_gradient_is_too_large() -> None:
    weak = HeavyTailedNoise(size=2.0, tail=4.0)
    findings = judged(msgspec.structs.replace(LIGHT, noise=weak))
    assert {finding.verdict for finding in findings.values()} == {"inconclusive"}
    assert not any(premise.met for finding in findings.values() for premise in finding.premises)
    assert all(finding.premises for finding in findings.values())
    assert "more than" in findings["exponent"].message
