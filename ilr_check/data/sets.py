"""Data sets as tensors on a device; nothing here ever opens a connection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ilr_check.data.specs import DataSpec, DigitsSpec


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
    x, y, classes = _digits() if isinstance(spec, DigitsSpec) else _teacher_student(spec)
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


def _teacher_student(spec: DataSpec) -> tuple[Tensor, Tensor, int]:
    assert not isinstance(spec, DigitsSpec)
    generator = torch.Generator().manual_seed(spec.seed)
    x = torch.randn(spec.examples, spec.inputs, generator=generator, dtype=torch.float64)
    teacher = torch.randn(spec.inputs, spec.classes, generator=generator, dtype=torch.float64)
    return x, (x @ teacher).argmax(dim=1), spec.classes
