"""Training: fleets of runs as one tensor program, and one run with a real torch optimizer."""
