"""ilr_check."""
