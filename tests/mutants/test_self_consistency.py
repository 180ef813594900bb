"""A law that compares an optimizer with itself refutes an optimizer that contradicts itself, and passes the
consistent one.

No test names a contract, because these laws judge optimizers of every family.
"""

from __future__ import annotations

from typing import Any

import forgetful_optimizers as forgetful
import inconsistent_optimizers as planted
import pytest
import released_conventions as released
import torch
from zoo.correct import VARIANTS
from zoo.mutants import MUTANTS

from ilr_check.gate.judge import Judge, judge
from ilr_check.gate.laws import gate_laws, planned
from ilr_check.gate.subject import Subject
from ilr_check.gate.subjects import subject_of
from ilr_check.gate.tags import tags_of
from ilr_check.gate.variation import varied_options

KILLS: dict[str, tuple[str, str]] = {
    "ForeachOneCount": ("switches", "foreach, late first gradients"),
    "ForeachFirstGroup": ("switches", "foreach, several groups"),
    "ForeachDecaysTwice": ("switches", "foreach, mixed dtypes"),
    "MaximizeIgnored": ("switches", "maximize"),
    "OneCountForAll": ("alone", "several tensors"),
    "StopsAtEmpty": ("alone", "an empty tensor in the middle"),
    "NoLateGroups": ("alone", "a group added later"),
    "FirstOfShape": ("layouts", "shape (1, 12)"),
    "MemoryOrder": ("layouts", "a transposed gradient"),
    "DividesByLastLr": ("zero-lr", "finite"),
    "CountInDefaultDtype": ("default-dtype", "the default dtype is bfloat16"),
    "CountInHalf": ("step-count", "after 2048 steps"),
    "ForgetsTheScale": ("grad-scaler", "a scale of 2^10"),
    "StepsOnOverflow": ("grad-scaler", "an overflow after unscale_()"),
    "ChangesTheLr": ("tensor-lr", "the tensor itself"),
    "OldStatesDescendOtherwise": ("old-state", "without centred"),
    "WideMoments": ("narrow-resume", "state of bfloat16 weights"),
    "DecayOverwritten": ("settings", "weight decay acts"),
    "LrReadOnce": ("schedulers", "acts, StepLR"),
    "LrOfTheScheduler": ("schedulers", "StepLR"),
    "LrCachedByTheFirst": ("alone", "rates that change"),
    "OwnCopy": ("written-weights", "copy_"),
}
TWINS = ("Consistent", "Scaled", "OldStatesGoOn", "WideMomentsKept")
LAWS = sorted({law for law, _ in KILLS.values()})
OF_TORCH = "a schedule of its own for each group"
"""torch's own groups share one tensor as their lr, and so does every optimizer that is derived from them."""


def bare(name: str) -> Subject:
    """Return an optimizer of the catalogue as a subject without a contract."""
    module = next(place for place in (planted, forgetful, released) if hasattr(place, name))
    factory: Any = getattr(module, name)
    return Subject(factory, tags=tags_of(factory, {}))


def violations(law: str, subject: Subject) -> dict[str, str]:
    """Return the group and the diagnosis of each violation that a law finds."""
    findings, _ = judge(gate_laws()[law], subject)
    assert not [f for f in findings if f.verdict == "error"], findings
    return {f.group: f.diagnosis for f in findings if f.verdict == "violated" and f.group != OF_TORCH}


@pytest.mark.parametrize("name", KILLS)
def test_a_contradiction_is_found_by_its_law(name: str) -> None:
    law, case = KILLS[name]
    found = violations(law, bare(name))
    assert any(group.startswith(case) for group in found), found


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", TWINS)
def test_a_consistent_twin_passes(name: str, law: str) -> None:
    assert not violations(law, bare(name))


OF_THE_ZOO: dict[str, tuple[str, str]] = {
    "ForeachFirstGroupBetas": ("switches", "foreach, an option of each group"),
    "ForeachWithoutDampening": ("switches", "foreach, an option of each group"),
    "ForeachStatesShift": ("switches", "foreach, gradients missing between"),
    "ForeachBufferIsTheGradient": ("gradients-kept", "gradients in place, foreach, momentum=0.3"),
    "KeyOfTheFirstGroup": ("alone", "a key of each group"),
    "SAMZeroGradientIsNan": ("zero-gradient", "zeros everywhere"),
    "ScalarsPassedOver": ("layouts", "a scalar"),
    "FirstBlockOnly": ("layouts", "more entries than a block"),
    "BlocksOverlap": ("layouts", "more entries than a block"),
    "HookLeavesGradient": ("gradients-kept", "released after backward"),
    "NamedAdamWDecaysAll": ("settings", "weight decay acts"),
}


@pytest.mark.parametrize("name", OF_THE_ZOO)
def test_a_mutation_of_the_zoo_is_found_without_a_contract(name: str) -> None:
    law, case = OF_THE_ZOO[name]
    factory: Any = MUTANTS[name].factory
    found = violations(law, Subject(factory, tags=tags_of(factory, {})))
    assert any(group.startswith(case) for group in found), found


@pytest.mark.parametrize("law", sorted({law for law, _ in OF_THE_ZOO.values()}))
@pytest.mark.parametrize(
    "name", ["ListedAdamW", "ListedSGD", "MuonWithAdamW", "HandSAM", "NamedAdamW", "BackwardSGD"]
)
def test_its_right_twin_passes(name: str, law: str) -> None:
    factory: Any = VARIANTS[name].factory
    assert not violations(law, Subject(factory, tags=tags_of(factory, {})))


def test_other_options_are_legal_and_leave_the_users_own_alone() -> None:
    found = varied_options(Subject(torch.optim.SGD))
    assert found == {"momentum": 0.3, "dampening": 0.3}
    assert "betas" not in varied_options(Subject(torch.optim.AdamW, args={"betas": (0.5, 0.5)}))
    assert varied_options(Subject(torch.optim.AdamW))["betas"] == pytest.approx((0.81, 0.8991))


def test_an_old_state_may_take_the_default_of_the_class_and_no_other_value() -> None:
    def judged(factory: Any) -> dict[str, str]:
        return violations("old-state", Subject(factory, args={"decay": 0.9}))

    assert not judged(forgetful.OldStatesTakeTheDefault)
    assert list(judged(forgetful.OldStatesTakeAnotherDefault)) == ["without decay"]


@pytest.mark.parametrize("law", ["old-state", "grad-scaler"])
def test_an_optimizer_that_climbs_is_judged_along_negated_gradients(law: str) -> None:
    assert not violations(law, Subject(torch.optim.SGD, args={"maximize": True}))


RELEASED = (
    "SilentAtFirst",
    "ClippedByItsMean",
    "RefusesTwoRates",
    "Float32Factor",
    "TakesAnyKeyword",
    "SparesVectors",
    "SignsOfMatrices",
    "TrainsSmallWeights",
    "WarmsUpToItsOwnLr",
    "WrapsSGD",
)
"""Each behaves as a released optimizer does, at which the gate once saw a defect."""


@pytest.mark.parametrize("name", RELEASED)
def test_what_a_released_optimizer_does_by_design_is_no_defect(name: str) -> None:
    laws = planned("descent,settings,alone,layouts,resume,zero-gradient,gradients-kept,schedulers")
    found = [f for judgement in Judge(bare(name)).judge(laws) for f in judgement.findings]
    assert [f.id for f in found if f.verdict in ("violated", "error") and f.severity == "defect"] == []


def test_a_step_at_lr_zero_may_round_and_may_not_move() -> None:
    class EpsBesideLr(torch.optim.SGD):
        """Its lr is never zero, because it adds 1e-6."""

        def step(self, closure: Any = None) -> Any:
            kept = [group["lr"] for group in self.param_groups]
            for group in self.param_groups:
                group["lr"] += 1e-6
            loss = super().step(closure)
            for group, lr in zip(self.param_groups, kept, strict=True):
                group["lr"] = lr
            return loss

    computed_anew: Any = VARIANTS["HandMADGRAD"].factory
    found = violations("zero-lr", Subject(computed_anew))
    assert not [group for group in found if group.startswith("still, at the first")], found
    found = violations("zero-lr", Subject(EpsBesideLr))
    assert [group for group in found if group.startswith("still, at the first")], found


def test_steps_that_move_nothing_tell_no_family() -> None:
    subject, note = subject_of(released.SilentAtFirst, contract="auto")
    assert subject.contract is None
    assert "its first 4 steps move nothing" in note


def test_a_muon_that_multiplies_entries_is_found_by_general_matrices() -> None:
    wrong, _ = subject_of(planted.EntrywiseMuon, contract="muon")
    right, _ = subject_of(torch.optim.Muon, contract="muon")
    assert violations("general-matrices", wrong)
    assert not violations("general-matrices", right)


def test_an_eps_that_acts_on_vectors_alone_is_not_that_of_newton_schulz() -> None:
    right, note = subject_of(released.Muon)
    assert "its eps acts on no matrix" in note
    for law in ("settings", "scaling-symmetry", "gradient-degree"):
        assert not violations(law, right)
    wrong, note = subject_of(released.MuonForgetsEps)
    assert "its eps acts on no matrix" not in note
    assert "option eps" in violations("settings", wrong)
    assert any(
        "a constant of fixed size is hidden" in told
        for told in violations("scaling-symmetry", wrong).values()
    )


def test_an_lr_of_the_constructor_is_told_beside_a_resumed_path() -> None:
    found = violations("resume", bare("WarmsUpToItsOwnLr"))
    told = [told for group, told in found.items() if group.startswith("in memory")]
    assert told
    assert all(
        "unless it is built with the lr and the weight decay of the saved one" in each for each in told
    )


def test_steps_of_matrices_alone_make_no_family() -> None:
    subject, note = subject_of(released.SignsOfMatrices)
    assert subject.contract is None
    assert "its steps of matrices are those of signsgd, and those of vectors are not" in note
