"""Claims that are algebra up to rounding: one module a claim."""
