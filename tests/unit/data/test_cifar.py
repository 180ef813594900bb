"""CIFAR-10 from tiny files of both formats, and every way in which a folder can be wrong."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilr_check.api import verify
from ilr_check.claims.function_space import larger_data
from ilr_check.data import Cifar10EpochsSpec, Cifar10Spec, cifar
from ilr_check.data.sets import load, load_held_out
from ilr_check.nets.specs import MLPSpec
from ilr_check.train.fleet import Fleet, Runs

EXAMPLES = 4
FILES = [name for names in cifar.NAMES.values() for name in names]


def contents(number: int) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(number)
    return rng.integers(256, size=(EXAMPLES, cifar.PIXELS), dtype=np.uint8), [number, 9, 0, 3]


def write_python(folder: Path) -> Path:
    for number, name in enumerate(FILES):
        pixels, labels = contents(number)
        with (folder / name).open("wb") as stream:
            pickle.dump({b"data": pixels, b"labels": labels}, stream, protocol=2)
    return folder


def write_binary(folder: Path) -> Path:
    for number, name in enumerate(FILES):
        pixels, labels = contents(number)
        rows = np.column_stack([np.array(labels, dtype=np.uint8), pixels])
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    return folder


WRITERS = {"cifar-10-batches-py": write_python, "cifar-10-batches-bin": write_binary}


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_both_distributions_give_the_same_images(tmp_path: Path, name: str, below: bool) -> None:
    home = tmp_path / name
    home.mkdir()
    WRITERS[name](home)
    pixels, labels = cifar.read(tmp_path if below else home, "train", examples=EXAMPLES)
    assert np.array_equal(pixels, np.concatenate([contents(i)[0] for i in range(5)]))
    assert labels.tolist() == [label for i in range(5) for label in contents(i)[1]]
    pixels, labels = cifar.read(home, "test", examples=EXAMPLES)
    assert np.array_equal(pixels, contents(5)[0])
    assert labels.tolist() == contents(5)[1]


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.getcwd, ()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def hostile(path: Path) -> None:
    path.write_bytes(pickle.dumps({b"data": Hostile(), b"labels": []}))


def strange_labels(path: Path) -> None:
    path.write_bytes(pickle.dumps({b"data": contents(0)[0], b"labels": [0, 1, 2, 10]}, protocol=2))


def fewer(path: Path) -> None:
    path.write_bytes(pickle.dumps({b"data": contents(0)[0][:2], b"labels": [0, 1]}, protocol=2))


@pytest.mark.parametrize(
    ("write", "name", "damage", "words"),
    [
        (write_python, "data_batch_3", Path.unlink, "lacks data_batch_3;"),
        (write_binary, "test_batch.bin", Path.unlink, "lacks test_batch.bin;"),
        (write_binary, "data_batch_2.bin", cut, "data_batch_2.bin has 12285 bytes and not 12292"),
        (write_python, "data_batch_2", cut, "data_batch_2 cannot be read"),
        (write_python, "data_batch_1", hostile, "which no array needs"),
        (write_python, "data_batch_5", strange_labels, "labels outside 0 to 9"),
        (write_python, "data_batch_5", fewer, r"pixels \(2, 3072\)"),
    ],
)
def test_a_damaged_folder_is_named_with_its_file(
    tmp_path: Path,
    write: Callable[[Path], Path],
    name: str,
    damage: Callable[[Path], None],
    words: str,
) -> None:
    damage(write(tmp_path) / name)
    with pytest.raises(cifar.CifarError, match=words):
        cifar.read(tmp_path, "train", examples=EXAMPLES)


def test_every_file_is_read_and_those_of_the_test_part_too(tmp_path: Path) -> None:
    write_binary(tmp_path)
    cifar.check_contents(tmp_path, examples=EXAMPLES)
    cut(tmp_path / "test_batch.bin")
    cifar.check(tmp_path)
    with pytest.raises(cifar.CifarError, match=r"test_batch\.bin has 12285 bytes"):
        cifar.check_contents(tmp_path, examples=EXAMPLES)


def test_files_of_the_real_size_must_have_all_classes_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "REAL", EXAMPLES)
    write_python(tmp_path)
    with pytest.raises(cifar.CifarError, match=r"data_batch_5 in .* not 2 of each"):
        cifar.read(tmp_path, "train", examples=EXAMPLES)


def test_epochs_train_on_one_part_and_hold_out_the_other(tmp_path: Path) -> None:
    write_python(tmp_path)
    data = Cifar10EpochsSpec(folder=str(tmp_path), per_file=EXAMPLES)
    assert np.array_equal(load(data).x.numpy() * 256, np.concatenate([contents(i)[0] for i in range(5)]))
    held_out = load_held_out(data, 3)
    assert np.array_equal(held_out.x.numpy() * 256, contents(5)[0][:3])
    assert held_out.y.tolist() == contents(5)[1][:3]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(cifar.CifarError, match="is not a folder"):
        cifar.read(tmp_path / "nowhere", "train")


@pytest.mark.parametrize(
    ("value", "folder"), [("", None), ("  ", None), ("/data/cifar", Path("/data/cifar"))]
)
def test_the_environment_names_the_folder(
    monkeypatch: pytest.MonkeyPatch, value: str, folder: Path | None
) -> None:
    monkeypatch.setenv(cifar.VARIABLE, value)
    assert cifar.named_folder() == folder


def test_a_fleet_trains_on_the_images_of_a_folder(tmp_path: Path) -> None:
    write_binary(tmp_path)
    data = Cifar10Spec(folder=str(tmp_path), per_file=EXAMPLES)
    net = MLPSpec(inputs=cifar.PIXELS, widths=(4,), classes=10)
    fleet = Fleet(net, data, batch_size=8, lanes=2, compile=False)
    assert len(fleet.dataset) == 5 * EXAMPLES
    assert np.array_equal(fleet.dataset.x[:EXAMPLES].numpy() * 256, contents(0)[0])
    trace = fleet.train(Runs(seeds=[1, 2], lr=0.1, weight_decay=0.1), 3)
    assert trace.first_bad.tolist() == [-1, -1]


@pytest.mark.parametrize("before", [None, "/data/other"])
def test_naming_a_folder_ends_with_its_block(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None
) -> None:
    monkeypatch.delenv(cifar.VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(cifar.VARIABLE, before)
    with cifar.naming(tmp_path):
        assert cifar.named_folder() == tmp_path.resolve()
        assert [course.title for course in larger_data.courses("quick", 0)] == ["MNIST-5k", "CIFAR-10"]
    assert os.environ.get(cifar.VARIABLE) == before


def test_verify_refuses_a_folder_without_cifar(tmp_path: Path) -> None:
    with pytest.raises(cifar.CifarError, match="lacks data_batch_1"):
        verify(claims="larger-data", cifar10=tmp_path, out=tmp_path / "run")
