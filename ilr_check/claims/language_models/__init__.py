"""Claims about language models: one module for each claim."""
