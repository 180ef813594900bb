"""Data sets as tensors on a device; nothing here ever opens a connection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ilr_check.data.specs import DataSpec, DigitsSpec, SplitDigitsSpec, TeacherStudentSpec


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs ``x`` [examples, inputs] and labels ``y`` [examples] (int64), on one device."""

    x: Tensor
    y: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.y)


def load(spec: DataSpec, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Dataset:
    """The data set of a spec; raises ``ModuleNotFoundError`` with the mend if its package is absent."""
    if isinstance(spec, TeacherStudentSpec):
        x, y, classes = _teacher_student(spec)
    else:
        x, y, classes = _digits()
        if isinstance(spec, SplitDigitsSpec):
            x, y = x[: -spec.held_out], y[: -spec.held_out]
    return Dataset(x.to(dtype).to(device), y.to(device), classes)


def load_held_out(
    spec: DataSpec, count: int, *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> Dataset:
    """Examples that no run of ``spec`` trains on, at most ``count``; raises ``ValueError`` if it has none."""
    if isinstance(spec, DigitsSpec):
        raise ValueError("DigitsSpec trains on every digit; take SplitDigitsSpec, which holds some out")
    if isinstance(spec, SplitDigitsSpec):
        x, y, classes = _digits()
        x, y = x[-spec.held_out :][:count], y[-spec.held_out :][:count]
    else:
        # Drawn after the examples and the teacher, from the same stream.
        x, y, classes = _teacher_student(spec, fresh=count)
    return Dataset(x.to(dtype).to(device), y.to(device), classes)


@lru_cache(maxsize=1)
def _digits() -> tuple[Tensor, Tensor, int]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the digits come with scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    # Pixels are integers from 0 to 16; dividing by a power of two keeps them exact in every float type.
    return torch.tensor(bunch.data, dtype=torch.float64) / 16.0, torch.tensor(bunch.target), 10


def _teacher_student(spec: TeacherStudentSpec, fresh: int = 0) -> tuple[Tensor, Tensor, int]:
    """The examples of a spec, or ``fresh`` others of the same teacher."""
    generator = torch.Generator().manual_seed(spec.seed)
    x = torch.randn(spec.examples, spec.inputs, generator=generator, dtype=torch.float64)
    teacher = torch.randn(spec.inputs, spec.classes, generator=generator, dtype=torch.float64)
    if fresh:
        x = torch.randn(fresh, spec.inputs, generator=generator, dtype=torch.float64)
    return x, (x @ teacher).argmax(dim=1), spec.classes
