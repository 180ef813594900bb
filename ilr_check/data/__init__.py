"""Data: real sets that ship in wheels, teacher-student Gaussians, batch orders and noise. Nothing here uses
the network."""

from ilr_check.data.specs import (
    BatchNoise,
    Cifar10EpochsSpec,
    Cifar10Spec,
    DataSpec,
    DigitsSpec,
    HeavyTailedNoise,
    Mnist5kSpec,
    MnistSpec,
    NoiseSpec,
    SplitDigitsSpec,
    SvagNoise,
    TangentNoise,
    TeacherStudentSpec,
    TextSpec,
    in_epochs,
)

__all__ = [
    "BatchNoise",
    "Cifar10EpochsSpec",
    "Cifar10Spec",
    "DataSpec",
    "DigitsSpec",
    "HeavyTailedNoise",
    "Mnist5kSpec",
    "MnistSpec",
    "NoiseSpec",
    "SplitDigitsSpec",
    "SvagNoise",
    "TangentNoise",
    "TeacherStudentSpec",
    "TextSpec",
    "in_epochs",
]
