"""``ilr-check replay`` takes a finding of the gate, from its report or as JSON."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from ilr_check import cli
from ilr_check.commands.gate import gate
from ilr_check.commands.gate_replay import gate_finding, judge_again
from ilr_check.evidence import Finding, GateReport
from ilr_check.evidence.gate import decode_report, encode_report
from ilr_check.gate.process.noting import noted
from ilr_check.gate.process.request import GateRequest

BROKEN = (
    "import torch\n\n\nclass Mine(torch.optim.SGD):\n    def step(self, closure=None):\n        return None\n"
)
RIGHT = "import torch\n\n\nclass Mine(torch.optim.SGD):\n    pass\n"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The report of an optimizer that takes no step, and the name of a finding in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(BROKEN)
    words = ["mine.py:Mine", "--contract", "sgd", "--claims", "descent", "--json", "gate.json"]
    assert CliRunner().invoke(gate, words).exit_code == 1
    (finding, *_) = decode_report((tmp_path / "gate.json").read_bytes()).findings
    assert finding.verdict == "violated"
    return f"gate.json#{finding.id}"


@pytest.mark.parametrize(
    ("now", "code", "told"),
    [(BROKEN, 1, "the same verdict as recorded"), (RIGHT, 1, "NOT the verdict that was recorded: violated")],
    ids=["unchanged", "mended"],
)
def test_a_finding_is_judged_again(
    recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], now: str, code: int, told: str
) -> None:
    (tmp_path / "mine.py").write_text(now)
    found = gate_finding(recorded)
    assert found is not None
    assert gate_finding(msgspec.json.encode(found).decode()) == found
    assert judge_again(found) == code
    assert told in capsys.readouterr().out


def forged(command: str) -> str:
    """Return a finding as JSON that could come from anywhere."""
    found = noted(GateRequest(target="m:O"), "descent", "g", "holds", message="")
    return msgspec.json.encode(msgspec.structs.replace(found, replay=command)).decode()


EVIL = "import pathlib\npathlib.Path('touched').touch()\n"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (
            "evil.py:O",
            "would import and run 'evil.py:O', which a report names; add --target evil.py:O if",
        ),
        ("torch.optim:SGD --reference evil.py:O", "would import and run 'torch.optim:SGD' and 'evil.py:O'"),
        ("torch.optim:SGD --contract evil.py:O", "'evil.py:O'"),
        ("torch.optim:SGD --setup evil.py:O", "'evil.py:O'"),
        ("torch.optim:SGD --junit touched", "has --junit, which a replay never takes from a file"),
        (
            "torch.optim:SGD --claims descent --out touched",
            "has --out, which a replay never takes from a file",
        ),
        ("torch.optim:SGD --baseline touched", "has --baseline"),
        ("torch.optim:SGD --seed", "takes from a file"),
        ("--out=touched torch.optim:SGD", "takes from a file"),
    ],
)
@pytest.mark.parametrize("by", ["json", "file"])
def test_a_report_neither_writes_nor_imports(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    line: str,
    by: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    text = forged(f"ilr-check gate {command}")
    target = text
    if by == "file":
        report = GateReport(
            target="x",
            contract="",
            verdict="holds",
            exit_code=0,
            fingerprint={},
            findings=(msgspec.json.decode(text, type=Finding),),
        )
        (tmp_path / "gate.json").write_bytes(encode_report(report))
        target = f"gate.json#{report.findings[0].id}"
    with pytest.raises(SystemExit) as stopped:
        cli.main(["replay", target])
    assert stopped.value.code == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "touched").exists()


def test_even_a_trusted_report_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["replay", "--trust", forged("ilr-check gate torch.optim:SGD --junit touched")])
    assert "has --junit, which a replay never takes from a file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_named_target_is_judged_again(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["replay", recorded, "--target", "mine.py:Mine"])
    assert stopped.value.code == 1
    assert "the same verdict as recorded" in capsys.readouterr().out


def test_a_finding_that_is_not_there_is_an_error_with_what_is(recorded: str) -> None:
    told = r"no finding 'descend'; did you mean 'descent'\? it has .* such as 'descent:"
    with pytest.raises(ValueError, match=told):
        gate_finding("gate.json#descend")


@pytest.mark.parametrize("target", ["runs/one#a-claim.1", '{"claim": "norm-recursion"}', "mine.py#x"])
def test_what_is_no_finding_of_the_gate_is_left_to_the_claims(target: str) -> None:
    assert gate_finding(target) is None
