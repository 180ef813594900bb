"""``check_optimizer`` end to end: torch's optimizers pass, planted defects are found and named."""

from typing import Any

import pytest
import torch

import ilr_check
from ilr_check.gate.laws import planned
from ilr_check.gate.result import GateViolation
from ilr_check.gate.subjects import subject_of


class LrSquaredDecay(torch.optim.AdamW):
    """Decay by 1 - lr^2*wd."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] ** 2 * group["weight_decay"])
            group["kept"], group["weight_decay"] = group["weight_decay"], 0.0
        done = super().step(closure)
        for group in self.param_groups:
            group["weight_decay"] = group.pop("kept")
        return done


def test_a_defect_is_named_with_the_line_of_the_step_and_code_that_shows_it() -> None:
    result = ilr_check.check_optimizer(LrSquaredDecay, contract="adamw", claims="decay-coupling")
    (finding,) = result.findings
    assert (result.verdict, result.exit_code) == ("violated", 1)
    assert finding.diagnosis == "weight decay per step is lr^2*wd, expected lr*wd"
    assert finding.location is not None
    assert finding.location.file == __file__
    with pytest.raises(GateViolation, match=r"lr\^2\*wd"):
        result.raise_if_violated()
    measured = float(finding.message.split()[1].rstrip(","))
    assert replayed(finding.snippet) == measured


@pytest.mark.parametrize(
    ("law", "group"),
    [("textbook-step", "default settings"), ("mixed-dtypes", "three dtypes, default")],
)
def test_its_code_shows_the_step_that_was_measured(law: str, group: str) -> None:
    result = ilr_check.check_optimizer(LrSquaredDecay, contract="adamw", claims=law)
    (finding,) = (f for f in result.findings if f.group == group)
    assert replayed(finding.snippet) == float(finding.message.split()[1].rstrip(","))


def replayed(snippet: str) -> float:
    """Return what the lines of a snippet print."""
    code = "\n".join(line for line in snippet.splitlines() if not line.startswith("from "))
    printed: list[float] = []
    before = torch.get_default_dtype()
    try:
        exec(code, {"LrSquaredDecay": LrSquaredDecay, "print": printed.append})
    finally:
        torch.set_default_dtype(before)
    return printed[0]


def made(params: Any, lr: float = 1e-3, weight_decay: float = 0.01) -> torch.optim.Optimizer:
    """A factory whose name does not contain the family."""
    return LrSquaredDecay(params, lr=lr, weight_decay=weight_decay)


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (made, "with a known change that explains every measured step (weight decay per step is lr^2*wd"),
        (LrSquaredDecay, "as AdamW says"),
        (type("FusedAdamW", (LrSquaredDecay,), {}), "as FusedAdamW says"),
    ],
)
def test_a_wrong_decay_is_judged_as_the_family_that_a_name_or_a_near_miss_tells(
    factory: Any, why: str
) -> None:
    subject, note = subject_of(factory, contract="auto")
    assert subject.contract is not None
    assert subject.contract.name == "adamw"
    assert why in note


@pytest.mark.parametrize(
    ("word", "message"),
    [("decay-cuopling", "did you mean 'decay-coupling'"), ("nonsense", "known are all, exact")],
)
def test_an_unknown_law_is_an_error_with_the_mend(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        planned(word)


def test_an_unknown_contract_is_an_error_with_the_mend() -> None:
    with pytest.raises(ValueError, match="did you mean 'adamw'"):
        ilr_check.check_optimizer(torch.optim.AdamW, contract="adamww")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"lrr": "lr"}, "names lrr=lr: no family has 'lrr'; did you mean 'lr'"),
        ({"lr": "alpha"}, "names lr=alpha: .* has no 'alpha'; it has lr, momentum"),
    ],
)
def test_a_renaming_that_leads_nowhere_is_an_error_with_the_mend(names: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ilr_check.check_optimizer(torch.optim.SGD, contract="sgd", names=names)


@pytest.mark.parametrize(
    ("declare", "message"),
    [({"momentum_form": "exp"}, "allowed: 'classic', 'ema'"), ({"colour": 1}, "cannot be declared")],
)
def test_a_declaration_out_of_range_is_an_error(declare: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ilr_check.check_optimizer(torch.optim.SGD, contract="sgd", declare=declare)


def test_a_constructor_without_defaults_is_given_the_contracts() -> None:
    def make(params: Any, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(params, lr=lr, weight_decay=weight_decay)

    result = ilr_check.check_optimizer(make, contract="sgd", claims="textbook-step,decay-coupling")
    assert result.verdict == "holds"


def test_an_optimizer_of_no_family_is_judged_by_the_laws_that_need_no_contract() -> None:
    class Cubic(torch.optim.Optimizer):
        def __init__(self, params: Any, lr: float = 0.1) -> None:
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad**3)
            return loss

    result = ilr_check.check_optimizer(Cubic)
    assert result.contract == ""
    assert "no known family" in result.contract_note
    judged = {f.claim for f in result.findings if f.verdict == "holds"}
    assert {"descent", "missing-gradient", "closure", "gradients-kept", "resume", "copies"} <= judged
    # Laws that need a contract were not judged, so nothing may call this optimizer right.
    assert result.verdict == "inconclusive"
    assert result.coverage.not_judged


class WithoutHalf(torch.optim.SGD):
    """Refuses float16 weights."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if any(p.dtype == torch.float16 for group in self.param_groups for p in group["params"]):
            raise TypeError("no float16 here")
        return super().step(closure)


def rounding(dtype: str) -> ilr_check.GateResult:
    return ilr_check.check_optimizer(
        WithoutHalf, contract="sgd", claims="low-precision,mixed-dtypes", dtype=dtype
    )


def test_an_optimizer_is_judged_in_the_dtypes_that_it_is_made_for() -> None:
    (crash,) = (f for f in rounding("all").findings if f.verdict == "violated")
    assert (crash.claim, crash.severity) == ("low-precision", "fragility")
    assert "TypeError: no float16 here" in crash.diagnosis
    narrowed = rounding("float32, bfloat16")
    assert narrowed.verdict == "holds"
    groups = " ".join(f.group for f in narrowed.findings)
    assert ("steps in bfloat16" in groups, "float16," in groups, "in float16" in groups) == (
        True,
        False,
        False,
    )
    skipped = {f.claim: (f.verdict, f.message) for f in rounding("float64").findings}
    assert skipped == {
        "low-precision": ("skipped", "it is made for float64 weights alone"),
        "mixed-dtypes": ("skipped", "it is not made for float32 weights"),
    }


def test_an_unknown_dtype_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="dtype 'float8' is not known; choose all, or some of float64"):
        rounding("float8")


class LeavesGradientsOff(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        torch.set_grad_enabled(False)
        return super().step(closure)


def test_what_the_search_for_a_contract_leaves_behind_hides_no_change() -> None:
    result = ilr_check.check_optimizer(LeavesGradientsOff, contract="auto", laws="leaves-the-world-alone")
    assert torch.is_grad_enabled()
    assert [f.diagnosis for f in result.violated] == ["step() changes the grad mode from True to False"]


class LarsOfAnyKeyword(torch.optim.Optimizer):
    """LARS as the contract has it, without an eps; it takes any keyword and drops what it does not know."""

    def __init__(self, params: Any, lr: float = 1.0, weight_decay: float = 0.0, **others: Any) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                size, slope = p.norm(), p.grad.norm()
                ratio = 1e-3 * size / (slope + group["weight_decay"] * size) if slope > 0 < size else 1.0
                p.sub_(group["lr"] * ratio * (p.grad + group["weight_decay"] * p))


class LarsThatKeepsEps(LarsOfAnyKeyword):
    """The same one with an eps in its groups that acts on nothing."""

    def __init__(self, params: Any, eps: float = 0.0, **others: Any) -> None:
        super().__init__(params, **others)
        for group in self.param_groups:
            group["eps"] = eps


def test_an_eps_that_only_a_catch_all_takes_is_not_judged() -> None:
    result = ilr_check.check_optimizer(LarsOfAnyKeyword, contract="lars", laws="eps-placement")
    assert [f.diagnosis for f in result.findings if f.verdict == "violated"] == []
    result = ilr_check.check_optimizer(LarsThatKeepsEps, contract="lars", laws="eps-placement")
    assert [f.group for f in result.findings if f.verdict == "violated"] == ["eps=0.001"]
