"""``ilr-check gate`` and ``fingerprint``: outputs, exit codes, baseline, reference, declared failures."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ilr_check import cli
from ilr_check.gate.baseline import Baseline, baseline_of, changes_since, read_baseline, save_baseline
from ilr_check.gate.conclusion import command_of
from ilr_check.gate.expected_failures import demand_known, read_expected, with_expected
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process.noting import noted
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.reference.same_steps import TOLERANCE, apart

OPTIMIZER = """
import torch
class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay))
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"]).mul_(1 - group["lr"] * group["weight_decay"] FACTOR)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["gate", *words])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["m:O", "--profile", "fast"], "profile 'fast' is not known; choose one of quick, standard"),
        (["m:O", "--seed", "-1"], "seed -1 is out of range; give a whole number from 0"),
        (["m:O", "--device", "tpu"], "device 'tpu' is not known; choose one of auto, cpu, cuda"),
        (["m:O", "--time-limit", "0"], "time limit 0.0 is out of range; give a number above 0"),
        (["m:O", "--arg", "eps"], "--arg 'eps' is not name=value; write for example --arg lr=0.1"),
        (["m:O", "--names", "lr"], "--names 'lr' is not name=value"),
        (["m:O", "--update-baseline"], "--update-baseline has no file to write; add --baseline FILE"),
        (
            ["m:O", "--json", "no/where.json"],
            "cannot write no/where.json (No such file or directory); name a",
        ),
        (["m:O", "--json", "-", "--sarif", "-"], "--json and --sarif cannot both write to standard output"),
        (["m:O", "--expected-failures", "no.toml"], "cannot read no.toml (No such file or directory)"),
        (["nope"], "optimizer 'nope' is not a target; write it as package.module:Name"),
        (["torch.optim:SGD", "--claims", "memry"], "unknown law 'memry'; did you mean 'memory'"),
        (["torch.optim:SGD", "--contract", "adamv"], "adamv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ilr-check: ")
    assert err.count("\n") == 1
    assert line in err


def test_one_run_writes_every_form_and_the_baseline_tells_a_change(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "my.py").write_text(OPTIMIZER.replace("FACTOR", ""))
    options = (
        "my.py:Mine",
        "--contract",
        "sgdw",
        "--claims",
        "leaves-the-world-alone",
        "--baseline",
        "b.json",
    )
    assert run(*options, "--json", "-", "--junit", "j.xml", "--sarif", "s.json", "--summary", "s.md") == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["verdict"], report["exit_code"], report["target"]) == ("holds", 0, "my.py:Mine")
    assert {"target", "contract", "verdict", "exit_code", "findings", "fingerprint"} <= report.keys()
    assert report["fingerprint"]["decay_power_of_lr"] == pytest.approx(1.0)
    assert "the baseline was saved to b.json (nothing to compare with yet)" in report["notices"]
    assert {path.name for path in place.iterdir()} >= {"b.json", "j.xml", "s.json", "s.md"}

    (place / "my.py").write_text(OPTIMIZER.replace("FACTOR", "* 2"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run(*options, "--out", "out") == 1
    out = capfd.readouterr().out
    assert "with weight decay alone it differs from the baseline from step 1 on, by 0." in out
    assert re.search(
        r"^::error file=.*my\.py,line=\d+,title=same-as-baseline is violated::", out, re.MULTILINE
    )
    assert {p.name for p in (place / "out").iterdir()} == {
        "gate.json",
        "gate.sarif",
        "junit.xml",
        "report.html",
        "summary.md",
    }


def test_changes_that_are_allowed_are_told_and_do_not_decide(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("my.py:Mine", "--contract", "sgdw", "--claims", "descent", "--baseline", "b.json")
    (place / "my.py").write_text(OPTIMIZER.replace("FACTOR", ""))
    assert run(*options) == 0
    (place / "my.py").write_text(OPTIMIZER.replace("FACTOR", "* 2"))
    capfd.readouterr()
    assert run(*options) == 1
    told = capfd.readouterr().out
    assert "The optimizer has changed since the baseline; --update-baseline accepts" in told
    assert run(*options, "--allow-changes") == 0
    out = capfd.readouterr().out
    for text in (told, out):
        assert "changed since the baseline in" in text.splitlines()[2]
        assert "it differs from the baseline from step 1 on" in text
        assert "✗ changed      same-as-baseline" in text
    assert run(*options, "--update-baseline") == 0
    assert run(*options) == 0


def test_a_reference_is_compared_by_scenario(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("torch.optim:AdamW", "--contract", "adamw", "--claims", "leaves-the-world-alone")
    assert run(*words, "--reference", "torch.optim:Adam", "--json", "-") == 1
    found = json.loads(capfd.readouterr().out)["findings"]
    told = {f["group"]: f["verdict"] for f in found if f["claim"] == "same-as-reference"}
    assert {name for name, verdict in told.items() if verdict == "violated"} == {
        "gradients and weight decay",
        "weight decay alone",
        "a schedule of lr and weight decay",
    }
    assert set(told.values()) == {"holds", "violated"}


# ---- what needs no process

REQUEST = GateRequest(target="m:O")


def finding(claim: str, verdict: Any, group: str = "g") -> Any:
    return noted(REQUEST, claim, group, verdict, message="told")


def test_the_command_that_judges_again_has_the_dtypes() -> None:
    narrowed = GateRequest(target="m:O", options=GateOptions(dtype="float32,bfloat16"))
    assert command_of(narrowed, "low-precision").endswith("--laws low-precision --dtype float32,bfloat16")


def test_declared_failures_are_expected_and_unexpected_passes_reported() -> None:
    found = [
        finding("a", "violated", "1"),
        finding("a", "holds", "2"),
        finding("b", "holds"),
        finding("c", "skipped"),
    ]
    judged = with_expected(found, read_expected({"a": "known", "b": "gone", "c": "never"}))
    assert [f.verdict for f in judged] == ["expected_failure", "holds", "unexpected_pass", "skipped"]
    assert judged[0].message == "expected: known\ntold"
    assert "b holds, but was declared to fail: gone" in judged[2].diagnosis


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"memory" = ""', 'gives no reason; write "memory" = "why it may fail"'),
        ('"memory" = 3', "memory = 3 gives no reason"),
        ('"memory" = ', "is not valid TOML"),
    ],
)
def test_a_bad_list_of_failures_is_refused(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(line)):
        read_expected(tmp_path / "e.toml")


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="expected failure 'memry' is no law; did you mean 'memory'"):
        demand_known({"memry": "x"}, {"memory", "closure"})
    with pytest.raises(ValueError, match="expected failure 'memry' is no law"):
        demand_known({"memry:a case": "x"}, {"memory", "closure"})


TRACE = {"gradients alone": [[1.0, 2.0], [0.5, 2.5], [0.25, 2.75]]}


@pytest.mark.parametrize(
    ("change", "verdict", "step"),
    [
        (lambda t: t, "holds", None),
        (lambda t: [t[0], [x + 0.2 * TOLERANCE for x in t[1]], t[2]], "holds", None),
        (lambda t: [t[0], t[1], [x + 4 * TOLERANCE for x in t[2]]], "violated", 3),
        (lambda t: [[float("nan")] * 2] * 3, "violated", 1),
        (lambda t: t[:2], "violated", 1),
    ],
    ids=["same", "rounding", "third step", "not a number", "another length"],
)
def test_steps_are_compared_in_units_of_a_step(
    change: Callable[[Any], Any], verdict: str, step: int | None
) -> None:
    ours = {name: change(trace) for name, trace in TRACE.items()}
    (found,) = apart(REQUEST, "same", ours, TRACE, than="the other", location=None)
    assert found.verdict == verdict
    assert (f"from step {step} on" in found.diagnosis) == (step is not None)


def kept(**changes: Any) -> Baseline:
    made = baseline_of(REQUEST, "sgd", [finding("a", "holds")], TRACE, {"torch": "2"})
    return msgspec.structs.replace(made, **changes)


def test_a_baseline_survives_its_file_and_names_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    assert read_baseline(path) is None
    save_baseline(path, kept())
    assert read_baseline(path) == kept()
    assert {f.verdict for f in changes_since(kept(), kept(), REQUEST)} == {"holds"}
    found = changes_since(kept(), kept(contract="", verdicts={"a": "skipped"}), REQUEST)
    told = [f.diagnosis for f in found if f.verdict == "violated"]
    assert told == ["its family was sgd and is now unknown", "a held in the baseline and is now skipped"]


def test_baselines_of_other_arguments_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="made with args eps=1, this run has none; use the same, or"):
        changes_since(kept(args=("eps=1",)), kept(), REQUEST)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 9}'])
def test_a_damaged_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(ValueError, match=r"b\.json"):
        read_baseline(tmp_path / "b.json")
