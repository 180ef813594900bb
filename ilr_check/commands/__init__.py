"""Commands that need more than a few lines stand here, one a file; ``cli`` registers them."""
