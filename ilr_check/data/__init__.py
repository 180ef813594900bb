"""Data: real sets shipped in wheels, teacher-student Gaussians, batch orders and noise; never the network."""

from ilr_check.data.specs import (
    BatchNoise,
    Cifar10EpochsSpec,
    Cifar10Spec,
    DataSpec,
    DigitsSpec,
    HeavyTailedNoise,
    Mnist5kSpec,
    NoiseSpec,
    SplitDigitsSpec,
    SvagNoise,
    TangentNoise,
    TeacherStudentSpec,
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
    "NoiseSpec",
    "SplitDigitsSpec",
    "SvagNoise",
    "TangentNoise",
    "TeacherStudentSpec",
    "in_epochs",
]
