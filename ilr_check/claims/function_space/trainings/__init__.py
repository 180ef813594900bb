"""Trainings that several function-space claims read."""
