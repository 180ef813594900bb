"""Trainings that function-space claims share, and the designs and figures of the larger claims."""
