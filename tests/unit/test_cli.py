"""The command line: bad input is one line and exit code 2, and nothing is overwritten."""

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from ilr_check import cli
from ilr_check.claims.claim import Claim
from ilr_check.claims.exact import norm_recursion
from ilr_check.claims.exact_law import EXAMPLES
from ilr_check.evidence import Manifest, RunFolder
from ilr_check.evidence.records import SCHEMA_VERSION, Record
from ilr_check.optim.hyper import HyperParams
from ilr_check.train.compiling import NO_COMPILER
from ilr_check.train.loop import Setting, torch_sgd

COMMANDS = sorted(cli.app.commands)
UNFIT = '{"claim": "norm-recursion", "example": {"x": 1}}'

BAD: dict[str, tuple[list[str], str]] = {
    "unknown claim": (
        ["verify", "--claims", "norm-recursio"],
        "'norm-recursio'; did you mean 'norm-recursion'",
    ),
    "no claim": (["verify", "--claims", ","], "unknown claim ''"),
    "negative seed": (["verify", "--seed", "-1"], "seed -1 is out of range; give a whole number from 0"),
    "huge seed": (["verify", "--seed", str(2**63)], f"seed {2**63} is out of range"),
    "seed in words": (["verify", "--seed", "one"], "'one' is not a valid integer"),
    "unknown profile": (["verify", "--profile", "fast"], "profile 'fast' is not known; choose one of quick"),
    "unknown device": (["verify", "--device", "tpu"], "device 'tpu' is not known; choose auto, cpu or cuda"),
    "unwritable out": (["verify", "--out", "file/run"], "cannot write to file/run"),
    "out is a file": (["verify", "--out", "file"], "cannot write to file"),
    "out holds a run": (["verify", "--out", "run"], "run already holds a run; choose another --out"),
    "out and resume": (
        ["verify", "--out", "a", "--resume", "run"],
        "--resume run and --out a cannot be combined",
    ),
    "resume nothing": (["verify", "--resume", "absent"], "absent is not a run folder"),
    "resume damaged": (["verify", "--resume", "damaged"], "damaged/verdicts.jsonl is damaged in line 1"),
    "resume newer": (["verify", "--resume", "newer"], f"newer has schema {SCHEMA_VERSION + 1}"),
    "report damaged": (["report", "damaged"], "damaged/verdicts.jsonl is damaged in line 1"),
    "report newer": (["report", "newer"], "upgrade ilr-check to read it"),
    "report unwritable": (["report", "run", "--out", "file/report.html"], "file/report.html"),
    "replay unknown id": (["replay", "run#nobody"], "run has no verdict 'nobody'"),
    "replay no id": (["replay", "run"], "'run' does not name a verdict; give RUN#ID"),
    "replay cut json": (["replay", '{"claim": '], "not a record or a spec (JSONDecodeError"),
    "replay other json": (["replay", '{"claim": "norm-recursion"}'], "not a record or a spec (KeyError"),
    "replay of an unknown id": (
        ["replay", '{"claim": "x", "example": {}}'],
        "claim 'x' is not known here; known are",
    ),
    "replay bad spec": (["replay", UNFIT], "the spec does not fit norm-recursion"),
    "replay bad subject": (["replay", '{"claim": "norm-recursion", "subject": {}}'], "does not fit"),
    "unknown option": (["verify", "--sead", "1"], "No such option '--sead'. Did you mean '--seed'?"),
    "unknown command": (["verifi"], "No such command 'verifi'"),
    "page of an unknown id": (["claims", "nope"], "unknown claim 'nope'; known are"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run, a damaged one, a newer one, and a regular file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(tmp_path / ".hypothesis"))
    Path("file").write_text("precious")
    RunFolder.create(Path("run"), Manifest())
    damaged = RunFolder.create(Path("damaged"), Manifest())
    (damaged.path / "verdicts.jsonl").write_bytes(b"{broken\n")
    RunFolder.create(Path("newer"), Manifest(schema=SCHEMA_VERSION + 1))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, without the notes that Hypothesis keeps in the folder of the test session."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".hypothesis" not in path.parts)
    return {str(path): path.read_bytes() for path in found}


def run(words: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which a command refuses its input."""
    code = run(words)
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("ilr-check: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(("words", "line"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_nothing_is_overwritten(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    before = contents(place)
    assert line in refused(words, capsys)
    assert contents(place) == before


def test_a_gpu_that_is_not_there_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "use --device cpu or auto" in refused(["verify", "--device", "cuda"], capsys)


@pytest.mark.usefixtures("place")
def test_debug_shows_the_traceback_and_keeps_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["verify", "--seed", "-1", "--debug"])
    err = capsys.readouterr().err
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.endswith("seed -1 is out of range; give a whole number from 0 to 9223372036854775807\n")


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("[tool.ilr_check]\nprofil = 'quick'", "key 'profil' is not known; did you mean 'profile'?"),
        ("[tool.ilr_check]\nseed = 'one'", "seed='one' must be of type int"),
        ("[tool.ilr_check]\nseed = true", "seed=True must be of type int"),
        ("[tool.ilr_check", "pyproject.toml is not valid TOML"),
        ("[tool]\nilr_check = 3", "must be a table"),
    ],
)
def test_a_bad_settings_file_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], toml: str, line: str
) -> None:
    (place / "pyproject.toml").write_text(toml)
    assert line in refused(["claims"], capsys)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ILR_CHECK_SEEDS", "1", "'ILR_CHECK_SEEDS' is not known; did you mean 'ILR_CHECK_SEED'?"),
        ("ILR_CHECK_SEED", "x", "'x' is not a valid integer"),
        ("ILR_CHECK_THREADS", "0", "ILR_CHECK_THREADS='0' must be a whole number of threads, at least 1"),
        ("ILR_CHECK_DEVICE", "tpu", "device 'tpu' is not known"),
    ],
)
def test_a_bad_variable_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    assert line in refused(["verify", "--out", "new"], capsys)
    assert not Path("new").exists()


TOML = "[tool.ilr_check]\nseed = 1\nprofile = 'standard'\nclaims = 'exact'\n"


@pytest.mark.parametrize(
    ("words", "variable", "seed"),
    [
        ([], None, 1),
        ([], "2", 2),
        (["--seed", "3"], "2", 3),
        (["--seed", "3"], None, 3),
    ],
    ids=["file", "environment over file", "command over both", "command over file"],
)
def test_the_command_line_is_over_the_environment_and_that_over_the_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], variable: str | None, seed: int
) -> None:
    (place / "pyproject.toml").write_text(TOML)
    if variable is not None:
        monkeypatch.setenv("ILR_CHECK_SEED", variable)
    asked: dict[str, Any] = {}

    def stop(**options: Any) -> None:
        asked.update(options)
        raise ValueError("far enough")

    monkeypatch.setattr("ilr_check.api.verify", stop)
    assert run(["verify", *words]) == 2
    assert (asked["seed"], asked["profile"], asked["claims"], asked["device"]) == (
        seed,
        "standard",
        "exact",
        "auto",
    )


def test_threads_of_the_file_are_used_unless_the_environment_says_otherwise(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "pyproject.toml").write_text("[tool.ilr_check]\nthreads = 2\n")
    assert run(["doctor"]) == 0
    assert re.search(r"^threads +1 ", capsys.readouterr().out, re.MULTILINE)
    # It is set before it is deleted, so that monkeypatch restores it after any command.
    monkeypatch.setenv("ILR_CHECK_THREADS", "1")
    monkeypatch.delenv("ILR_CHECK_THREADS")
    assert run(["doctor"]) == 0
    assert re.search(r"^threads +2 ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.usefixtures("place")
def test_the_catalogue_lists_questions_after_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims"]) == 0
    out = capsys.readouterr().out
    assert 0 < out.index("norm-recursion") < out.index("R1.a ") < out.index("R4.4 ")


def test_the_page_of_a_question_names_its_claims_and_theirs_the_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["claims", "r1.5"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("R1.5: What about warm-up")
    assert "ilr-check verify --claims lr-against-decay," in " ".join(page.split())
    assert run(["claims", "schedule-law"]) == 0
    assert "answers: R1.5 What about warm-up" in capsys.readouterr().out


def test_a_question_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "R1.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0] == "lr-against-decay"


def test_a_question_that_nobody_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "R1.9"]) == 2
    assert "unknown question 'R1.9'; known are R1.a" in capsys.readouterr().err


def test_claims_as_json_is_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "--json"]) == 0
    out, err = capsys.readouterr()
    listed = json.loads(out)
    assert err == ""
    assert {"gradient-orthogonality", "norm-recursion", "lr-wd-equivalence"} <= {c["id"] for c in listed}
    assert all(c["rivals"] and c["statement"] and c["source"] and c["kind"] for c in listed)
    assert run(["claims", "norm-recursion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "norm-recursion"


@pytest.mark.usefixtures("place")
def test_the_page_of_a_claim_names_source_rivals_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "norm-recursion"]) == 0
    out = " ".join(capsys.readouterr().out.split())  # it is wrapped
    text = norm_recursion.TEXT
    assert "ilr_check/claims/exact/norm_recursion.py" in out
    assert all(
        part in out for part in (text.statement, text.equation, text.source, *text.rivals, text.meaning)
    )


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0
    assert f"Example: ilr-check {command}" in capsys.readouterr().out


@pytest.mark.usefixtures("place")
def test_without_a_command_the_help_is_shown_and_the_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.usefixtures("place")
def test_doctor_says_what_each_missing_part_costs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ilr_check.doctor.find_spec", lambda name: None)
    monkeypatch.setattr("ilr_check.doctor.has_compiler", lambda: False)
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^version of torch +2", out, re.MULTILINE)
    assert re.search(rf"^compiler +none +{re.escape(NO_COMPILER)}", out, re.MULTILINE)
    assert re.search(r"^extra plotly +absent +no `report --interactive`", out, re.MULTILINE)


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ilr_check", "verify", "--seed", "-1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "ilr-check: seed -1 is out of range; give a whole number from 0 to 9223372036854775807"
    ]
    assert list(tmp_path.iterdir()) == []


def twice_decayed(parameters: Sequence[nn.Parameter], hyper: HyperParams) -> torch.optim.Optimizer:
    """SGD that multiplies the weight decay by two."""
    optimizer = torch_sgd(parameters, hyper)

    def double(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        optimizer.param_groups[0]["weight_decay"] *= 2

    optimizer.register_step_pre_hook(double)
    return optimizer


def small_claim(check: Callable[[Setting], Any]) -> Claim:
    return dataclasses.replace(norm_recursion.LAW, check=check, real=lambda profile: ()).claim()


def use(monkeypatch: pytest.MonkeyPatch, claim: Claim) -> None:
    for module in ("engine", "claims", "replaying"):
        monkeypatch.setattr(f"ilr_check.{module}.catalogue", lambda: {claim.id: claim})


@pytest.fixture
def healthy() -> Claim:
    return small_claim(norm_recursion.check)


@pytest.fixture
def broken() -> Claim:
    return small_claim(lambda setting: norm_recursion.check(setting, twice_decayed))


@pytest.fixture
def recorded(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Claim], tuple[int, Record]]:
    """Verify one claim on few examples, and return the exit code and the record."""
    monkeypatch.setitem(EXAMPLES, "quick", 12)

    def verify(claim: Claim) -> tuple[int, Record]:
        use(monkeypatch, claim)
        code = run(["verify", "--out", "made", "--claims", "norm-recursion"])
        (record,) = RunFolder.open(Path("made")).records()
        return code, record

    return verify


def test_a_recorded_verdict_replays_to_the_same_verdict(
    recorded: Any, healthy: Claim, capsys: pytest.CaptureFixture[str]
) -> None:
    _, record = recorded(healthy)
    capsys.readouterr()
    before = contents(Path("made"))
    run(["replay", f"made#{record.id}"])
    assert capsys.readouterr().out.endswith("the same verdict as recorded\n")
    assert contents(Path("made")) == before


def test_a_broken_law_is_violated_and_its_record_and_its_spec_replay(
    recorded: Any, broken: Claim, healthy: Claim, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    code, record = recorded(broken)
    assert (code, record.verdict) == (1, "violated")
    spec = re.search(r"ilr-check replay '(.*)'$", record.message, re.MULTILINE)
    assert spec is not None
    capsys.readouterr()
    assert run(["replay", f"made#{record.id}"]) == 1
    assert capsys.readouterr().out.endswith("the same verdict as recorded\n")
    assert run(["replay", msgspec.json.encode(record).decode()]) == 1
    assert run(["replay", spec[1]]) == 1
    assert "violated" in capsys.readouterr().out
    use(monkeypatch, healthy)
    assert run(["replay", spec[1]]) == 0
    assert run(["replay", f"made#{record.id}"]) == 1
    assert capsys.readouterr().out.endswith("NOT the verdict that was recorded\n")


def test_a_counter_example_is_shrunk(recorded: Any, broken: Claim) -> None:
    _, record = recorded(broken)
    setting = msgspec.convert(record.subject["example"], type=Setting)
    assert setting.hyper.steps == 1
    assert max(getattr(setting.net, "widths", (1,))) <= 2
    assert record.measured.value is not None
    assert record.measured.value > 1
