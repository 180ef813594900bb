"""`ilr-check symmetry`: the table, its JSON, its exit codes."""

import json
from pathlib import Path

import msgspec
import pytest

from ilr_check import symmetries
from ilr_check.cli import main


def test_the_table_of_some_optimizers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "table.json"
    with pytest.raises(SystemExit) as ended:
        main(["symmetry", "Lion", "LBFGS", "--device", "cpu", "--json", str(target)])
    assert ended.value.code == 0
    rows = json.loads(target.read_text())["rows"]
    lion, lbfgs = rows
    assert (lion["arguments"], lion["deviation_at_2"], lion["holds"]) == (
        {"lr": 1, "weight_decay": -1},
        0.0,
        True,
    )
    assert 0 < lion["share_of_bound"] <= 1
    assert lion["wrong_power"] > 1e-3
    assert lbfgs["exception"]
    assert lbfgs["deviation_at_2"] > 1e-6
    printed = capsys.readouterr().out
    assert "| Lion | single-tensor | lr +1, weight_decay -1 | 0 |" in printed
    assert "no symmetry" in printed


def test_json_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["symmetry", "Lion", "--device", "cpu", "--json", "-"])
    assert [row["optimizer"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["Lion"]


def test_a_row_that_does_not_hold_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    lion = symmetries.measure(["Lion"])[0]
    broken = (msgspec.structs.replace(lion, holds=False),)
    monkeypatch.setattr(symmetries, "measure", lambda *_: broken)
    with pytest.raises(SystemExit) as ended:
        main(["symmetry", "Lion", "--device", "cpu"])
    assert ended.value.code == 1


def test_an_unknown_optimizer_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["symmetry", "AdamX", "--device", "cpu"])
    assert ended.value.code == 2
    assert "'AdamX' is not in the table" in capsys.readouterr().err
