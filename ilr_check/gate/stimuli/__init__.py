"""Stimuli are the inputs of an optimizer: scenarios, short paths, gradients that are all noise."""
