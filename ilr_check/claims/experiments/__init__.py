"""Trainings that several claims look at: what is trained, and what is read off it."""
