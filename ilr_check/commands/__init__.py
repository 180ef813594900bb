"""Commands that need more than a few lines, one in each file. ``cli`` registers them."""
