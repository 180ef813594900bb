"""The command line, the Python function, the decorator and the plugin take the same options."""

from __future__ import annotations

import inspect
import shlex

import pytest
import torch
from click.testing import CliRunner

import ilr_check
from ilr_check.commands.gate import gate
from ilr_check.commands.gate_options import options_from
from ilr_check.gate.conclusion import command_of
from ilr_check.gate.expected_failures import read_expected
from ilr_check.gate.laws import planned
from ilr_check.gate.option_words import WORDS, flag_of
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process.request import GateRequest

PYTHON_ONLY = {"name"}


def test_every_option_is_everywhere() -> None:
    fields = set(GateOptions.__struct_fields__)
    typed = {parameter.name for parameter in gate.params}
    assert set(WORDS) == fields - PYTHON_ONLY
    assert set(WORDS) <= typed
    for function in (ilr_check.check_optimizer, ilr_check.parametrize_with_laws):
        assert fields <= set(inspect.signature(function).parameters)


def test_the_help_names_every_option() -> None:
    text = CliRunner().invoke(gate, ["--help"]).output
    for name in WORDS:
        assert f"--{flag_of(name)}" in text


def test_an_unknown_option_is_an_error_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match="the gate has no option 'contrakt'; did you mean 'contract'"):
        ilr_check.check_optimizer(torch.optim.SGD, contrakt="sgd")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seed": -1}, "seed -1 is out of range; give a whole number from 0"),
        ({"profile": "fast"}, "profile 'fast' is not known; choose one of quick, standard"),
        ({"fail_on": "all"}, "fail on 'all' is not known; choose one of defect, fragility, departure"),
        ({"memory_limit": 0.0}, "memory limit 0.0 is out of range"),
        ({"update_baseline": True}, "add --baseline FILE"),
        ({"allow_changes": True}, "--allow-changes has nothing to compare with; add --baseline FILE"),
    ],
)
def test_a_value_out_of_range_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GateOptions.of(given)


def test_claims_is_the_former_name_of_laws() -> None:
    assert GateOptions.of({"claims": "exact"}) == GateOptions(laws="exact")


def test_a_merged_law_is_judged_by_its_former_name() -> None:
    assert [law.id for law in planned("group-settings,implementations")] == ["alone", "switches"]
    assert read_expected({"group-settings": "why"}) == read_expected({"alone": "why"})
    with pytest.raises(ValueError, match="group-settings is part of the law 'alone' now, and its cases"):
        read_expected({"group-settings:second group": "why"})


def test_the_command_that_judges_again_gives_the_same_options() -> None:
    options = GateOptions(
        contract="adamw",
        laws="memory",
        profile="standard",
        seed=3,
        dtype="float32",
        args={"betas": (0.9, 0.95), "mode": "fast", "flag": True, "number": "1"},
        declare={"eps_place": "inside"},
        names={"lr": "alpha"},
        impl={"foreach": True},
        tags={"needs_closure": False},
        setup="m:prepare",
        reference="torch.optim:AdamW",
    )
    words = shlex.split(command_of(GateRequest(target="m:O", options=options)))
    context = gate.make_context("gate", words[2:])
    own = {name: value for name, value in context.params.items() if name in WORDS}
    assert options_from(own) == options
