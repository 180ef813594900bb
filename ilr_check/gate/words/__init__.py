"""Words of a finding: its explanation, the snippet that reproduces it, and the place in the source."""
