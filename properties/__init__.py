"""The theory as pytest tests, with one file per chapter.

Run `pytest properties/`, or `pytest --pyargs ilr_check.properties` after an installation. The options --ilr-*
set the profile, seed, device and optimizer.
"""
