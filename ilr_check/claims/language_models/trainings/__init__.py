"""Trainings that claims about language models share."""
