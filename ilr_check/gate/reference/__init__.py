"""Comparison with the reference implementation: trajectories, deviations, the search for a family."""
