"""Commands that need more than a few lines: one a file, registered by ``cli``."""
