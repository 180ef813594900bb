"""Optimizers of optax are judged by the gate: right ones hold, wrong ones are found, and errors are clear."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ilr_check
from ilr_check.cli import main
from ilr_check.gate.laws import gate_laws
from ilr_check.optim.optax_target import NOT_OPTAX, OptaxError, optax_optimizer
from ilr_check.optim.target import TargetError, import_target

jax = pytest.importorskip("jax", reason="jax and optax are the extra `jax`")
optax = pytest.importorskip("optax", reason="jax and optax are the extra `jax`")

REST = ("scale_by", "noisy", "polyak", "lbfgs", "sophia", "dpsgd", "momo", "schedule_free", "muon", "galore")
"""Parts of names that are left out. They are no whole optimizers, want a loss or another optimizer, or draw
random numbers; ``contrib.muon`` compiles for minutes at every new shape, and ``contrib.galore`` was not
tried."""
NOT_A_NUMBER = ("contrib.prodigy", "contrib.dadapt_adamw")
"""With an lr of 0 at the first step."""
LAWS = "textbook-step,decay-coupling,bias-correction"
OWN = '''
import optax

def decay_beside_lr(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-4):
    """AdamW whose decay is added after lr, so that it does not follow lr."""
    return optax.chain(
        optax.scale_by_adam(b1, b2, eps), optax.scale_by_learning_rate(learning_rate),
        optax.add_decayed_weights(-weight_decay),
    )

def needs_more(learning_rate, weight_decay=0.0):
    """The branch on a number keeps the number out of the compiled step."""
    if weight_decay > 0.0:
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate))
    return optax.sgd(learning_rate)
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "right", "options"),
    [
        ("adamw", torch.optim.AdamW, {"weight_decay": 0.1}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_the_steps_are_those_of_torch(name: str, right: Any, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    start = torch.tensor(rng.normal(size=(3, 4)))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [
        optax_optimizer(name)([ours], lr=0.1, **options),
        right([theirs], lr=0.1, **options),
    ]
    for t in range(8):
        gradient = torch.tensor(rng.normal(size=(3, 4)))
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + t)
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_float32_and_bfloat16_weights_keep_their_dtype() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        parameter = torch.nn.Parameter(torch.ones(3, dtype=dtype))
        optimizer = optax_optimizer("adam")([parameter], lr=0.1)
        parameter.grad = torch.ones(3, dtype=dtype)
        optimizer.step()
        assert parameter.dtype is dtype
        torch.testing.assert_close(parameter.double(), torch.full((3,), 0.9).double(), rtol=0, atol=4e-3)


def test_jax_is_left_with_32_bits() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = optax_optimizer("adam")([parameter], lr=0.1)
    parameter.grad = torch.ones(3)
    optimizer.step()
    assert jax.numpy.ones(3).dtype == jax.numpy.float32


def test_a_right_one_holds_by_every_law_that_is_asked() -> None:
    result = ilr_check.check_optimizer(import_target("optax:adamw"), contract="adamw", laws=LAWS)
    assert result.verdict == "holds"


def test_a_wrong_one_is_found_and_its_lines_show_it(own: Path) -> None:
    target = f"optax:{own}:decay_beside_lr"
    result = ilr_check.check_optimizer(
        import_target(target), contract="adamw", laws="decay-coupling,textbook-step", name=target
    )
    assert result.verdict == "violated"
    assert "weight decay per step is wd" in " ".join(f.diagnosis for f in result.violated)
    found = next(f for f in result.violated if f.snippet)
    shown = subprocess.run([sys.executable, "-c", found.snippet], capture_output=True, text=True, check=True)
    measured = found.snippet.rpartition("# here ")[2].partition(",")[0]
    assert shown.stdout.strip() == measured


def test_a_number_that_python_reads_is_compiled_into_the_step(own: Path) -> None:
    optimizer_of = import_target(f"optax:{own}:needs_more")
    parameter = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = optimizer_of([parameter], lr=0.5, weight_decay=0.5)
    parameter.grad = torch.zeros(3, dtype=torch.float64)
    optimizer.step()
    assert parameter.tolist() == [0.75] * 3


def test_the_command_says_which_laws_do_not_apply(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["gate", "optax:sgd", "--contract", "sgd", "--laws", "textbook-step,resume"])
    out = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    assert "judged 1 of 1 law" in out
    assert NOT_OPTAX["resume"] in out


def test_a_reference_of_torch_is_given_the_same_gradients_and_a_wrong_one_differs() -> None:
    asked = {"contract": "adamw", "laws": "descent"}
    right = ilr_check.check_optimizer(import_target("optax:adamw"), reference="torch.optim:AdamW", **asked)
    assert right.verdict == "holds"
    wrong = ilr_check.check_optimizer(import_target("optax:adamw"), reference="torch.optim:Adam", **asked)
    assert {f.claim for f in wrong.violated} == {"same-as-reference"}


def test_a_finding_points_at_the_function_of_optax() -> None:
    result = ilr_check.check_optimizer(import_target("optax:adamw"), contract="adam", laws="textbook-step")
    places = {f.location.file for f in result.violated if f.location is not None}
    assert {Path(place).parent.parent.name for place in places} == {"optax"}


def test_a_mask_without_weight_decay_is_no_fragility_and_its_other_cases_are_judged() -> None:
    result = ilr_check.check_optimizer(import_target("optax:lars"), contract="lars", laws="options")
    assert not result.violated
    assert {f.verdict for f in result.findings if "mask" in f.group} == {"holds", "skipped"}


def test_a_constant_inside_of_the_root_is_no_wrong_degree() -> None:
    laws = "gradient-degree,scaling-symmetry"
    options = {"contract": "adam", "args": {"eps_root": 1e-3}}
    assert not ilr_check.check_optimizer(import_target("optax:adam"), laws=laws, **options).violated


def test_every_law_that_optax_is_spared_exists() -> None:
    assert {name.partition(":")[0] for name in NOT_OPTAX} <= set(gate_laws())


@pytest.mark.parametrize("name", ["adamv", "contrib", "contrib.nothing", "GradientTransformation"])
def test_a_name_that_optax_lacks(name: str) -> None:
    with pytest.raises(TargetError, match=rf"^optax:{name} names no function of optax.*adamw"):
        import_target(f"optax:{name}")


def test_without_optax_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "optax":
            raise ImportError("No module named 'optax'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(OptaxError, match=r"needs optax, which is not installed.*ilr-check\[jax\]"):
        optax_optimizer("adamw")


def test_an_argument_that_the_function_lacks() -> None:
    with pytest.raises(TypeError, match="takes no 'betas'; it takes lr, b1, b2"):
        optax_optimizer("adamw")([torch.nn.Parameter(torch.ones(3))], lr=0.1, betas=(0.9, 0.999))


@pytest.mark.parametrize("name", ["lbfgs", "contrib.sophia"])
def test_a_transformation_that_wants_more_than_gradients(name: str) -> None:
    with pytest.raises(ValueError, match="wants more than gradients and weights"):
        ilr_check.check_optimizer(import_target(f"optax:{name}"), laws="descent")


@pytest.mark.parametrize("name", NOT_A_NUMBER)
def test_what_estimates_a_distance_is_not_a_number_after_a_warm_up_from_zero(name: str) -> None:
    make = getattr(optax.contrib, name.removeprefix("contrib."))
    optimizer = make(optax.linear_schedule(0.0, 1.0, 100))
    weights = jax.numpy.ones(3)
    state = optimizer.init(weights)
    for _ in range(2):
        updates, state = optimizer.update(0.1 * jax.numpy.ones(3), state, weights)
        weights = optax.apply_updates(weights, updates)
    assert bool(jax.numpy.isnan(weights).all()), "repaired: take it from docs/trophy-case.md"


def test_the_gate_finds_that_prodigy_is_not_a_number() -> None:
    result = ilr_check.check_optimizer(import_target("optax:contrib.prodigy"), laws="zero-lr")
    assert {f.diagnosis.partition(" of zero")[0] for f in result.violated if f.severity == "defect"} == {
        "an lr"
    }


def _with_lr() -> list[str]:
    names = [*vars(optax), *(f"contrib.{name}" for name in vars(optax.contrib))]
    return [name for name in names if _takes_lr(name) and not any(rest in name for rest in REST)]


def _takes_lr(name: str) -> bool:
    try:
        return "lr" in optax_optimizer(name).options
    except OptaxError:
        return False


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", _with_lr())
def test_optax_has_no_other_defect(name: str) -> None:
    result = ilr_check.check_optimizer(import_target(f"optax:{name}"))
    found = {f.claim for f in result.violated if f.severity == "defect"}
    assert found == ({"zero-lr"} if name in NOT_A_NUMBER else set())
    assert result.verdict != "error"
