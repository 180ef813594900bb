"""Slips that were released are found without a contract; what released optimizers do by design is no
defect."""

from __future__ import annotations

from typing import Any

import pytest
import released_slips as released
import switch_slips

from ilr_check.evidence.gate import Finding
from ilr_check.gate.judge import Judge
from ilr_check.gate.laws import planned
from ilr_check.gate.subject import Subject
from ilr_check.gate.subjects import subject_of
from ilr_check.gate.tags import tags_of

KILLS: dict[str, tuple[str, str, str]] = {
    "DividesByTheWay": ("zero-weights", "finite, one tensor of zeros", "defect"),
    "InProportionToTheNorm": ("zero-weights", "leaves zero, one tensor of zeros", "departure"),
    "DecayLostUnderASwitch": ("options", "weight decay acts, weight_decouple=False", "fragility"),
    "SwitchIgnored": ("options", "acts, centred_moment=True", "fragility"),
    "CentredInPlace": ("options", "finite, centred_moment=True", "fragility"),
    "RectifiedUphill": ("options", "downhill, rectify=True", "fragility"),
    "CountStandsStill": ("step-count", "it counts", "fragility"),
    "TooHighAPower": ("descent", "larger gradients", "fragility"),
    "MovesAtLrZero": ("zero-lr", "still, at the first step", "fragility"),
    "CountOutsideOfTheState": ("resume", "attributes", "fragility"),
    "ComplexOfTheRealPart": ("complex-weights", "default settings", "fragility"),
    "FindsItsLr": ("settings", "lr kept", "fragility"),
    "MaskedMaximizeIgnored": ("switches", "maximize, several tensors", "defect"),
    "CoupledDecayLost": ("settings", "weight decay acts", "defect"),
    "DecoupledTwice": ("options", "weight decay once, weight_decouple=True", "fragility"),
    "DecaysTwice": ("settings", "weight decay once", "defect"),
    "RelativeToTheMean": ("zero-gradient", "zeros everywhere, no weight decay", "fragility"),
    "FactoredForgetsScalars": ("layouts", "a scalar, as a vector", "fragility"),
    "DiagonalNewtonClimbsNever": ("switches", "maximize, several tensors", "defect"),
}
"""The law, the case and the severity with which each slip is found."""
TWINS = (
    "DividesByTheWayRight",
    "InProportionToTheNormRight",
    "Switched",
    "RectifiedUphillRight",
    "ReturnsToSlowWeights",
    "Ascends",
    "Constrained",
    "CountOutsideOfTheStateRight",
    "KeepsItsCount",
    "ComplexPairs",
    "Masked",
    "DiagonalNewton",
    "Coupled",
    "RelativeToTheMeanRight",
    "Factored",
)
BY_DESIGN = (
    "FindsItsLr",
    "OfScaleInvariantWeights",
    "FlattensByView",
    "RefusesMixedDtypes",
    "QuantisedWhenLarge",
)
"""Each behaves as a released optimizer does, at which the gate once saw a defect."""
LAWS = ",".join(sorted({law for law, _, _ in KILLS.values()}))
WIDER = f"{LAWS},layouts,alone,copies,schedulers,gradients-kept,zero-gradient,missing-gradient"


def bare(name: str) -> Subject:
    """Return an optimizer as a subject without a contract."""
    factory: Any = getattr(switch_slips, name, None) or getattr(released, name)
    return Subject(factory, tags=tags_of(factory, {}))


def violations(name: str, laws: str) -> list[Finding]:
    """Return the violations and errors that these laws find."""
    found = [f for judgement in Judge(bare(name)).judge(planned(laws)) for f in judgement.findings]
    return [f for f in found if f.verdict in ("violated", "error")]


@pytest.mark.parametrize("name", KILLS)
def test_a_slip_is_found_by_its_law(name: str) -> None:
    law, case, severity = KILLS[name]
    found = {f.group: f.severity for f in violations(name, law)}
    assert found.get(case) == severity, found


@pytest.mark.parametrize("name", TWINS)
def test_its_right_twin_passes(name: str) -> None:
    assert not [f.id + f.diagnosis for f in violations(name, LAWS)]


@pytest.mark.parametrize("name", BY_DESIGN)
def test_what_a_released_optimizer_does_by_design_is_no_defect(name: str) -> None:
    found = violations(name, WIDER)
    assert not [f.id + f.diagnosis for f in found if f.severity == "defect" or f.verdict == "error"]


@pytest.mark.parametrize("name", ["Masked", "DiagonalNewton"])
def test_an_optimizer_that_draws_or_differentiates_agrees_with_itself(name: str) -> None:
    assert not [f.id + f.diagnosis for f in violations(name, WIDER) if f.severity == "defect"]


def test_an_optimizer_that_differentiates_its_gradients_is_built() -> None:
    subject, _ = subject_of(released.DiagonalNewton, contract="auto")
    assert subject.contract is None
