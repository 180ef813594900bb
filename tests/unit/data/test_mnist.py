"""MNIST from tiny IDX files, packed and not, and every way in which a folder can be wrong."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ilr_check.api import verify
from ilr_check.claims.function_space import larger_data
from ilr_check.data import MnistSpec, mnist
from ilr_check.data.mnist import MnistError, mnist_spec
from ilr_check.data.sets import load, load_held_out

COUNTS = {"train": 6, "test": 3}


def idx(values: np.ndarray) -> bytes:
    """Return an array of bytes in the IDX format, written by hand."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def arrays(part: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(COUNTS[part])
    images = rng.integers(256, size=(COUNTS[part], 28, 28), dtype=np.uint8)
    return images, rng.integers(10, size=COUNTS[part], dtype=np.uint8)


def write(folder: Path, *, dots: bool = False, packed: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    for part, stems in (("train", mnist.FILES["train"]), ("test", mnist.FILES["test"])):
        for stem, values in zip(stems, arrays(part), strict=True):
            name = f"{stem}{'.' if dots else '-'}idx{values.ndim}-ubyte"
            content = idx(values)
            (folder / f"{name}.gz").write_bytes(gzip.compress(content)) if packed else (
                folder / name
            ).write_bytes(content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dots", [False, True])
def test_every_form_of_the_files_gives_the_same_images_and_digest(
    tmp_path: Path, packed: bool, dots: bool
) -> None:
    plain, other = write(tmp_path / "plain"), write(tmp_path / "other", dots=dots, packed=packed)
    spec = mnist_spec(other)
    assert spec.digest == mnist_spec(plain).digest
    images, labels = arrays("train")
    data = load(spec)
    assert torch.equal(data.x, torch.from_numpy(images.reshape(-1, 784)) / 256.0)
    assert data.y.tolist() == labels.tolist()
    assert data.classes == 10
    held_out = load_held_out(spec, 2)
    assert torch.equal(held_out.x, torch.from_numpy(arrays("test")[0].reshape(-1, 784)[:2]) / 256.0)


def missing(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()


def cut(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def labels_as_images(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes((folder / "train-labels-idx1-ubyte").read_bytes())


def too_few_labels(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(arrays("train")[1][:-1]))


def large_labels(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(arrays("train")[1] + np.uint8(7)))


def small_images(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes(idx(arrays("train")[0][:, :14, :14].copy()))


def damaged_gzip(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:100])
    path.unlink()


def empty(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "lacks t10k-labels-idx1-ubyte; put all four IDX files of MNIST there"),
        (cut, "has 4719 bytes and not 4720, as its head says"),
        (labels_as_images, "does not begin as an IDX file of bytes in 3 dimensions"),
        (too_few_labels, "has 6 images and train-labels-idx1-ubyte has 5 labels"),
        (large_labels, "labels outside 0 to 9"),
        (small_images, "14 x 14 pixels and not 28 x 28"),
        (damaged_gzip, "cannot be read"),
        (empty, "does not begin as an IDX file of bytes in 1 dimensions"),
    ],
)
def test_a_wrong_folder_is_told_what_is_wrong(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    folder = write(tmp_path / "mnist")
    damage(folder)
    with pytest.raises(MnistError, match=words):
        load(MnistSpec(folder=str(folder)))


def test_a_path_that_is_no_folder_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(MnistError, match="is not a folder"):
        verify(claims="larger-data", mnist=tmp_path / "absent", out=tmp_path / "run")


def test_other_files_than_those_of_the_record_are_refused(tmp_path: Path) -> None:
    spec = MnistSpec(folder=str(write(tmp_path / "mnist")), digest="0" * 64)
    with pytest.raises(MnistError, match="and not 000000000000"):
        load(spec)


def test_the_claim_trains_on_the_named_folder_and_records_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(mnist.VARIABLE, raising=False)
    assert [course.title for course in larger_data.courses("quick", 0)] == ["MNIST-5k"]
    monkeypatch.setenv(mnist.VARIABLE, str(write(tmp_path / "mnist")))
    whole = larger_data.courses("quick", 0)[1]
    assert whole.title == "MNIST"
    assert isinstance(whole.data, MnistSpec)
    assert len(whole.data.digest) == 64
