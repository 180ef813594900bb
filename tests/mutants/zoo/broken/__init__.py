"""Mutants by family: each class replaces one piece of a right optimizer."""
