"""``ilr-check replay`` takes a finding of the gate, from its report or as JSON."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from ilr_check.commands.gate import gate
from ilr_check.commands.gate_replay import gate_finding, judge_again
from ilr_check.evidence.gate import decode_report

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


def test_a_finding_that_is_not_there_is_an_error_with_what_is(recorded: str) -> None:
    with pytest.raises(ValueError, match=r"no finding 'descend'; it has .* such as 'descent:"):
        gate_finding("gate.json#descend")


@pytest.mark.parametrize("target", ["runs/one#a-claim.1", '{"claim": "norm-recursion"}', "mine.py#x"])
def test_what_is_no_finding_of_the_gate_is_left_to_the_claims(target: str) -> None:
    assert gate_finding(target) is None
