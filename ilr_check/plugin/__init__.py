"""The pytest plugin: options --ilr-*, and a session that judges claims as tests.

``entry`` is all that an unrelated pytest session imports, together with the ``settings`` of the options.
"""
