"""The pytest plugin; imports nothing heavy until a test asks for it."""
