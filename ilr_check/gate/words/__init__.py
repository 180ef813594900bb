"""What a finding says: the explanation, the snippet that reproduces it, and the place in the source."""
