"""Claims about norms, effective LRs and rotations: one module a claim."""
