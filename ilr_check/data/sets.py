"""Data sets as tensors on a device, by the type of their spec. Nothing here opens a network connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ilr_check.data import mnist, shipped, text
from ilr_check.data.shipped import Arrays
from ilr_check.data.specs import (
    Cifar10EpochsSpec,
    Cifar10Spec,
    DataSpec,
    DigitsSpec,
    Mnist5kSpec,
    MnistSpec,
    SplitDigitsSpec,
    TeacherStudentSpec,
    TextSpec,
)
from ilr_check.plugins import Registry

Loader = TypeVar("Loader", bound=Callable[[Any], Arrays])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs ``x`` [examples, inputs] and labels ``y`` [examples] (int64), on one device.

    Rows of tokens are whole numbers, whatever the dtype of the training is.
    """

    x: Tensor
    y: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Source:
    """Where the arrays of a spec come from; ``held_out(spec, count)`` gives examples never trained on."""

    train: Callable[[Any], Arrays]
    held_out: Callable[[Any, int], Arrays] | None = None


REGISTERED: Registry[type, Source] = Registry("data set")


def register_data_set(
    spec: type, *, held_out: Callable[[Any, int], Arrays] | None = None
) -> Callable[[Loader], Loader]:
    """Register the decorated ``load(spec) -> (x, y, classes)`` as the data set of a spec's type.

    ``spec`` is a frozen ``msgspec.Struct`` with a ``label_noise``; ``x`` is [examples, inputs] in float64 and
    ``y`` is [examples] in int64. Raises ``ValueError`` for a type that has a data set already.
    """

    def decorate(load: Loader) -> Loader:
        if not hasattr(spec, "label_noise"):
            raise ValueError(
                f"{spec.__name__} has no field label_noise, which every spec of data needs; add label_noise: "
                "float = 0.0"
            )
        REGISTERED.add(spec, Source(load, held_out), taken=spec in SHIPPED)
        return load

    return decorate


def load(spec: DataSpec, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Dataset:
    """Return the data set of a spec.

    Raises ``TypeError`` for a spec whose type nobody registered, and ``ModuleNotFoundError`` with the fix if
    the package of the set is absent.
    """
    return _on_device(_source(spec).train(spec), dtype, device)


def load_held_out(
    spec: DataSpec, count: int, *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> Dataset:
    """Return at most ``count`` examples that no run of ``spec`` trains on.

    Raises ``ValueError`` if the set has no such examples.
    """
    held_out = _source(spec).held_out
    if held_out is None:
        raise ValueError(
            f"{type(spec).__name__} has no held-out examples; use a spec that has some, such as "
            "SplitDigitsSpec"
        )
    return _on_device(held_out(spec, count), dtype, device)


def _on_device(arrays: Arrays, dtype: torch.dtype, device: str) -> Dataset:
    x, y, classes = arrays
    return Dataset((x.to(dtype) if x.is_floating_point() else x).to(device), y.to(device), classes)


def _source(spec: object) -> Source:
    found = SHIPPED.get(type(spec)) or REGISTERED.registered().get(type(spec))
    if found is None:
        known = ", ".join(kind.__name__ for kind in (*SHIPPED, *REGISTERED.registered()))
        raise TypeError(
            f"no data set is registered for {type(spec).__name__}; known are {known}; "
            "ilr_check.register_data_set adds one"
        )
    return found


def _all_digits(spec: DigitsSpec) -> Arrays:
    return shipped.digits()


def _digits_trained_on(spec: SplitDigitsSpec) -> Arrays:
    x, y, classes = shipped.digits()
    return x[: -spec.held_out], y[: -spec.held_out], classes


def _digits_held_out(spec: SplitDigitsSpec, count: int) -> Arrays:
    x, y, classes = shipped.digits()
    return x[-spec.held_out :][:count], y[-spec.held_out :][:count], classes


def _mnist(spec: Mnist5kSpec) -> Arrays:
    x, y, classes = shipped.mnist_5k()
    return shipped.pooled(x, 28) if spec.side == 14 else x, y, classes


def _idx(spec: MnistSpec, part: mnist.Part) -> Arrays:
    pixels, labels = mnist.read(spec, part)
    # Pixels over a power of two are exact in every float type.
    return torch.tensor(pixels, dtype=torch.float64) / 256.0, torch.from_numpy(labels), mnist.CLASSES


def _idx_trained_on(spec: MnistSpec) -> Arrays:
    return _idx(spec, "train")


def _idx_held_out(spec: MnistSpec, count: int) -> Arrays:
    x, y, classes = _idx(spec, "test")
    return x[:count], y[:count], classes


def _cifar(spec: Cifar10Spec | Cifar10EpochsSpec) -> Arrays:
    return shipped.cifar_10(spec.folder, "train", spec.per_file)


def _cifar_held_out(spec: Cifar10EpochsSpec, count: int) -> Arrays:
    x, y, classes = shipped.cifar_10(spec.folder, "test", spec.per_file)
    return x[:count], y[:count], classes


def _teacher_held_out(spec: TeacherStudentSpec, count: int) -> Arrays:
    # These examples are drawn after the training examples and the teacher, from the same stream.
    return shipped.teacher_student(spec, fresh=count)


SHIPPED: dict[type, Source] = {
    DigitsSpec: Source(_all_digits),
    SplitDigitsSpec: Source(_digits_trained_on, _digits_held_out),
    TeacherStudentSpec: Source(shipped.teacher_student, _teacher_held_out),
    Mnist5kSpec: Source(_mnist),
    MnistSpec: Source(_idx_trained_on, _idx_held_out),
    Cifar10Spec: Source(_cifar),
    Cifar10EpochsSpec: Source(_cifar, _cifar_held_out),
    TextSpec: Source(text.rows_trained_on, text.rows_held_out),
}
