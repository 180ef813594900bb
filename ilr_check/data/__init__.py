"""Data: real sets shipped in wheels, teacher-student Gaussians, batch orders and noise; never the network."""

from ilr_check.data.specs import DataSpec, DigitsSpec, SplitDigitsSpec, TangentNoise, TeacherStudentSpec

__all__ = ["DataSpec", "DigitsSpec", "SplitDigitsSpec", "TangentNoise", "TeacherStudentSpec"]
