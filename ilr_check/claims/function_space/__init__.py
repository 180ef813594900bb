"""Claims about the functions at which trainings end: one module for each claim."""
