"""Trainings that several mean-field claims read."""
