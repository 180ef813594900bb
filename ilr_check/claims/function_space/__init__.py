"""Claims about the functions that trainings end as: one module a claim."""
