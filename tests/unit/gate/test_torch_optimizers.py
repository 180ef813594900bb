"""Every optimizer of the installed torch keeps its contract, in each implementation that it offers.

The exceptions are listed here with their causes. If a new torch repairs one, this test fails.
"""

import pytest
import torch

from ilr_check.gate.judge import judge
from ilr_check.gate.laws import planned
from ilr_check.gate.subjects import subject_of
from ilr_check.optim.contracts import contracts

SHARED = "a tensor that is lr of two groups is one tensor, so that a schedule of the one moves the other"
STRIDES = "its fused kernel runs over memory: a gradient in another order than its weights is misread"
EMPTY = "it divides by the number of entries, which is 0 for an empty tensor"
NARROWED = "load_state_dict rounds its float32 factors to the dtype of narrow weights"
KNOWN = {
    ("Adagrad", "alone"): "a group's own initial_accumulator_value gives way to the constructor's",
    ("LBFGS", "copies"): "deepcopy and pickle drop _params, without which its step fails",
    ("Adafactor", "mixed-dtypes"): "its foreach path takes the first dtype group's eps1 for all",
    ("Adafactor", "tensor-shapes"): EMPTY,
    ("Adafactor", "alone"): f"{EMPTY}; its foreach path takes the first dtype group's eps1 for all",
    ("Adafactor", "switches"): "its foreach path takes the first dtype group's eps1 for all",
    ("LBFGS", "layouts"): "it calls view on gradients, which transposed ones refuse",
    ("ASGD", "narrow-resume"): NARROWED,
    ("NAdam", "narrow-resume"): NARROWED,
    ("ASGD", "default-dtype"): "eta and mu are made in the default dtype",
    **{(name, "layouts"): STRIDES for name in ("SGD", "Adam", "AdamW", "Adagrad")},
}
TENSOR_LR = {name for name in vars(torch.optim) if name not in ("LBFGS", "Rprop")}
"""Optimizers that share a tensor between groups and step with it after the first step."""
KNOWN |= {(name, "tensor-lr"): SHARED for name in TENSOR_LR}
KNOWN["LBFGS", "tensor-lr"] = "the length of its last step is the lr tensor itself"
CLASSES = sorted(
    name
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name.lower() in contracts()
)
LAWS = [law.id for law in planned("exact")]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", CLASSES)
def test_it_keeps_its_contract(name: str, law: str) -> None:
    subject, _ = subject_of(getattr(torch.optim, name), contract=name.lower())
    findings, _ = judge(planned(law)[0], subject)
    wrong = [f"{f.group}: {f.diagnosis}" for f in findings if f.verdict not in ("holds", "skipped")]
    assert bool(wrong) == ((name, law) in KNOWN), wrong


def test_a_sparse_adam_that_moves_entries_without_gradient_is_caught() -> None:
    class Dense(torch.optim.SparseAdam):
        def step(self, closure=None):
            for p in self.param_groups[0]["params"]:
                where = torch.ones_like(p).nonzero().T
                entries = p.grad.to_dense().flatten()
                p.grad = torch.sparse_coo_tensor(where, entries, p.shape, check_invariants=False)
            return super().step(closure)

    subject, _ = subject_of(Dense, contract="sparseadam")
    findings, _ = judge(planned("textbook-step")[0], subject)
    wrong = [f.diagnosis for f in findings if f.verdict == "violated"]
    assert len(wrong) == len(findings)
    assert all("entries without a gradient move too, as in a dense Adam" in told for told in wrong)


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "LBFGS"])
def test_its_family_is_found_by_measurement(name: str) -> None:
    subject, note = subject_of(getattr(torch.optim, name), contract="auto")
    assert subject.contract is not None
    assert subject.contract.name == name.lower()
    assert "measured steps agree" in note
