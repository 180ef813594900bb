"""The theory as pytest tests, one file a chapter.

Run as `pytest properties/`, or as `pytest --pyargs ilr_check.properties` after an install. Profile, seed,
device and optimizer come from the options --ilr-*.
"""
