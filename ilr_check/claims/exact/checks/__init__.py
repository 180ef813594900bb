"""Computations that several exact claims share."""
