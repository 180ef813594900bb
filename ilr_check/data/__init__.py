"""Data: real sets shipped in wheels, teacher-student Gaussians, batch orders and noise; never the network."""

from ilr_check.data.specs import (
    Cifar10Spec,
    DataSpec,
    DigitsSpec,
    Mnist5kSpec,
    SplitDigitsSpec,
    TangentNoise,
    TeacherStudentSpec,
)

__all__ = [
    "Cifar10Spec",
    "DataSpec",
    "DigitsSpec",
    "Mnist5kSpec",
    "SplitDigitsSpec",
    "TangentNoise",
    "TeacherStudentSpec",
]
