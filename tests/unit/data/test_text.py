"""Text as data: which bytes are read, which are held out, and what frequencies alone can predict."""

import hashlib
import math
from pathlib import Path

import pytest
import torch

from ilr_check.data import TextSpec, text
from ilr_check.data.sets import load, load_held_out


def spec_of(folder: Path, **changes: object) -> TextSpec:
    return TextSpec(**{"context": 3, "path": str(folder), "limit": 40, "held_out": 10, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "b.txt").write_bytes(b"0123456789" * 2)
    (tmp_path / "a.txt").write_bytes(b"abcdefghij")
    (tmp_path / "below" / "c.txt").write_bytes(b"x" * 100)
    return tmp_path


def test_a_row_starts_at_every_position_of_the_training_part(folder: Path) -> None:
    data = load(spec_of(folder), dtype=torch.float32)
    assert data.x.dtype == torch.uint8
    assert data.classes == 256
    assert bytes(data.x[0].tolist()) == b"abcd"
    assert bytes(data.x[9].tolist()) == b"j012"
    assert bytes(data.x[-1].tolist()) == b"6789"
    assert len(data) == 30 - 3


def test_held_out_rows_predict_each_token_of_the_last_bytes_once(folder: Path) -> None:
    held_out = load_held_out(spec_of(folder, limit=30), 100)
    assert [bytes(row.tolist()) for row in held_out.x] == [b"0123", b"3456", b"6789"]
    assert len(load_held_out(spec_of(folder, limit=30), 2)) == 2


def test_the_default_is_the_same_part_of_pythons_library_every_time() -> None:
    names = [file.name for file in text.files("")]
    assert names == sorted(names)
    assert {"argparse.py", "ast.py"} <= set(names)
    spec = text.text_spec(context=8)
    assert spec.path == ""
    assert spec.digest == hashlib.sha256(text.contents("", spec.limit)).hexdigest()
    assert len(text.contents("", spec.limit)) == spec.limit


def test_the_users_text_is_read_and_another_one_is_refused(folder: Path) -> None:
    with text.naming(folder):
        spec = text.text_spec(context=3, limit=40, held_out=10)
    assert spec.path == str(folder)
    load(spec)
    (folder / "a.txt").write_bytes(b"abcdefghiJ")
    text.contents.cache_clear()
    with pytest.raises(text.TextError, match="as the spec says; use the same text"):
        load(spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "nowhere"}, "neither a file nor a folder"),
        ({"context": 200, "held_out": 300}, "at least 501"),
    ],
)
def test_an_unusable_text_is_refused_with_the_fix(folder: Path, changes: dict, words: str) -> None:
    with pytest.raises(text.TextError, match=words):
        load(spec_of(folder, limit=1000, **changes))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(text.TextError, match="has no files"):
        load(spec_of(tmp_path))


def test_a_held_out_part_longer_than_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="held_out=50 must lie between"):
        TextSpec(context=3, limit=40, held_out=50)


def test_frequencies_come_from_the_training_part_alone(tmp_path: Path) -> None:
    """A text of one letter with another one held out: the new one has been counted once, for not at all."""
    (tmp_path / "text").write_bytes(b"a" * 30 + b"b" * 10)
    spec = spec_of(tmp_path)
    assert text.unigram_loss(spec) == pytest.approx(math.log(30 + 256))
    assert text.bigram_loss(spec) == pytest.approx(math.log(30 + 256))  # nothing followed a b


def test_pairs_predict_an_alternating_text_and_single_bytes_do_not(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"ab" * 500)
    spec = spec_of(tmp_path, limit=1000, held_out=100)
    assert text.unigram_loss(spec) == pytest.approx(-math.log(451 / (900 + 256)))
    assert text.bigram_loss(spec) < 0.01
