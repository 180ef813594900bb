"""``ilr-check compare OLD NEW`` of two run folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ilr_check import cli

RUN = Path(__file__).parents[2] / "reports" / "sample" / "run"


def compare(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["compare", *words])
    return int(str(left.value.code))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the sample in which one statement is violated and far off."""
    later = tmp_path / "later"
    (later / "traces").mkdir(parents=True)
    (later / "manifest.json").write_bytes((RUN / "manifest.json").read_bytes())
    records = [json.loads(line) for line in (RUN / "verdicts.jsonl").read_text("utf-8").splitlines()]
    found = next(r for r in records if r["claim"] == "sqrt-recovery" and r["form"] == "transfer")
    found["verdict"], found["measured"] = "violated", {"value": 0.4, "low": 0.38, "high": 0.42}
    (later / "verdicts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    return later


def test_a_run_is_like_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(str(RUN), str(RUN)) == 0
    assert "0 verdicts changed, and 0 numbers moved" in capsys.readouterr().out


def test_a_verdict_that_became_worse_is_told_and_exits_with_1(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(str(RUN), str(broken)) == 1
    out = capsys.readouterr().out
    assert "1 verdict changed" in out
    assert "sqrt-recovery: holds -> violated" in out
    assert compare(str(broken), str(RUN)) == 0
    assert "sqrt-recovery: violated -> holds" in capsys.readouterr().out


def test_the_comparison_as_json(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(str(RUN), str(broken), "--json", "-") == 1
    found = json.loads(capsys.readouterr().out)
    (change,) = found["changed"]
    assert (found["worse"], found["same"], change["verdict"]) == (True, False, ["holds", "violated"])


def test_the_report_of_a_run_against_another(broken: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    with pytest.raises(SystemExit) as left:
        cli.main(["report", str(broken), "--against", str(RUN), "--out", str(target)])
    assert left.value.code == 0
    page = target.read_text("utf-8")
    assert 'id="changes"' in page
    assert "was holds" in page


def test_a_run_and_an_optimizer_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(str(RUN), "torch.optim:SGD") == 2
    assert "name two run folders" in capsys.readouterr().err
