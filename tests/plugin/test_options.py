# ruff: noqa: E501 -- a table, one refusal a line
"""The options of the plugin: which values they accept, which they refuse, and the header of the session."""

import pytest

pytest_plugins = ["pytester"]

ONE = "def test_one(): pass"


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    pytester.makepyfile(ONE)
    # The sessions run in this process, which has imported everything. Imports would take seconds in each of them.
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


def test_the_header_shows_the_effective_settings(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml("[tool.ilr_check]\nseed = 5\nprofile = 'standard'\n")
    options = ("--ilr-profile=nightly", "--ilr-device=cpu", "--ilr-allow-inconclusive", "--ilr-report=r.html")
    result = run(pytester, *options)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "ilr-check: profile nightly, claims core,exact, device cpu, seed 5, optimizer torch.optim.SGD, "
            "inconclusive passes, report */r.html",
            "ilr-check: no report: this session judged no claim",
        ]
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--ilr-profile=paper"], "*--ilr-profile: 'paper' is not known; choose one of quick, standard, nightly"),
        (["--ilr-claims=nope"], "ERROR: ilr-check: unknown claim 'nope'; known are core, exact, *"),
        (["--ilr-device=tpu"], "*--ilr-device: 'tpu' is not known; choose one of auto, cpu, cuda"),
        (["--ilr-examples=0"], "*--ilr-examples: '0' is not a number of examples; give a whole number from 1 on"),
        (["--ilr-seed=-1"], "*--ilr-seed: '-1' is out of range; give a whole number from 0 to *"),
        (["--ilr-seed=x"], "*--ilr-seed: 'x' is out of range; give a whole number from 0 to *"),
        (["--ilr-report=no/where/r.html"], "*--ilr-report: 'no/where/r.html' cannot be written; name a file in *"),
        (["--ilr-optimizer=nope"], "ERROR: ilr-check: optimizer 'nope' is not a target; write it as *"),
        (["--ilr-optimizer=no.such:SGD"], "ERROR: ilr-check: optimizer 'no.such:SGD': cannot import 'no.such' *"),
        (["--ilr-optimizer=no.py:SGD"], "ERROR: ilr-check: optimizer 'no.py:SGD': there is no file no.py in *"),
        (["--ilr-optimizer=torch.optim:SDG"], "ERROR: ilr-check: optimizer *: torch.optim has no 'SDG'; *SGD*"),
        (["--ilr-optimizer=builtins:print"], "ERROR: ilr-check: optimizer * gave NoneType, not a torch.optim.Optimizer; *"),
        (["--ilr-optimizer=torch.optim:Optimizer"], "ERROR: ilr-check: optimizer * cannot be built: *"),
        (["--ilr-world=nope"], "ERROR: ilr-check: world 'nope' is not a target; *"),
        (["--ilr-world=a.py:W", "--ilr-optimizer=b.py:O"], "ERROR: ilr-check: --ilr-world a.py:W states another SGD, *"),
        (["--ilr-arg=x=1"], "ERROR: ilr-check: --ilr-arg x has no optimizer to go to; add --ilr-optimizer TARGET"),
        (["--ilr-contract=sgd"], "ERROR: ilr-check: --ilr-contract sgd has no optimizer to judge; add --ilr-optimizer TARGET"),
        (["--ilr-declare=x=1"], "ERROR: ilr-check: --ilr-declare x=1 has no optimizer to judge; add --ilr-optimizer TARGET"),
        (["--ilr-fail-on=departure"], "ERROR: ilr-check: --ilr-fail-on departure has no optimizer to judge; *"),
        (["--ilr-optimizer=torch.optim:SGD", "--ilr-fail-on=all"], "ERROR: ilr-check: fail on 'all' is not known; choose one of defect, *"),
        (["--ilr-optimizer=torch.optim:SGD", "--ilr-tag=need=1"], "ERROR: ilr-check: unknown tag 'need'; *"),
        (["--ilr-optimizer=torch.optim:SGD", "--ilr-contract=sgd", "--ilr-declare=eps=1"], "ERROR: ilr-check: *eps*"),
        (["--ilr-optimizer=torch.optim:SGD", "--ilr-contract=sdg"], "ERROR: ilr-check: unknown contract 'sdg'; did you mean 'sgd'? *"),
        (["--ilr-optimizer=torch.optim:SGD", "--ilr-arg=x"], "*--ilr-arg: 'x' is not an argument; write name=value*"),
        (["--ilr-optimizer=torch.optim:SGD", "--ilr-arg=x=1"], "*cannot be built: *unexpected keyword argument 'x'*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_bad_option_is_one_clear_line(pytester: pytest.Pytester, options: list[str], line: str) -> None:
    result = run(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert "Traceback" not in result.stderr.str()


def test_a_bad_environment_names_the_variable(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ILR_CHECK_SEED", "many")
    result = run(pytester, "--ilr-profile=quick")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: ilr-check: seed of ILR_CHECK_SEED: 'many' is out of range; *"])


def test_the_contract_may_stand_in_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ILR_CHECK_CONTRACT", "sgd")
    result = run(pytester, "--ilr-optimizer=torch.optim:SGD")
    result.stdout.fnmatch_lines(["ilr-check: *optimizer torch.optim:SGD (contract sgd), *"])


def test_the_header_shows_the_options_of_the_gate(pytester: pytest.Pytester) -> None:
    options = ("--ilr-tag=tensor_lr=False", "--ilr-tag=state_bits=8", "--ilr-fail-on=fragility")
    result = run(pytester, "--ilr-optimizer=torch.optim:SGD", *options)
    result.stdout.fnmatch_lines(
        [
            "ilr-check: *optimizer torch.optim:SGD * --ilr-tag=tensor_lr=False,state_bits=8 --ilr-fail-on=fragility, *"
        ]
    )


def test_the_markers_are_registered(pytester: pytest.Pytester) -> None:
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.claim(id):*", "@pytest.mark.exact:*", "@pytest.mark.statistical:*"]
    )


@pytest.mark.parametrize(
    "table", ["", "[tool.ilr_check]\nprofile = 'paper'\nsede = 1\n"], ids=["none", "bad"]
)
def test_an_unrelated_session_sees_and_imports_next_to_nothing(pytester: pytest.Pytester, table: str) -> None:
    """This holds for any settings of ``ilr-check verify`` in its pyproject.toml."""
    pytester.makepyprojecttoml(table)
    pytester.makepyfile(
        """
        import sys

        def test_one():
            ours = {name for name in sys.modules if name.startswith("ilr_check")}
            parts = ("plugin", "plugin.entry", "plugin.settings", "gate", "gate.option_words")
            assert ours == {"ilr_check"} | {f"ilr_check.{part}" for part in parts}
            assert not {"torch", "numpy", "hypothesis", "msgspec", "scipy"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
    assert "ilr-check:" not in result.stdout.str()  # pytest itself lists every installed plugin


def test_the_profile_of_verify_is_none_of_pytests_business(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml("[tool.ilr_check]\nprofile = 'paper'\n")
    result = run(pytester, "--ilr-seed=0")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ilr-check: profile quick, *"])
