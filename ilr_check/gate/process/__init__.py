"""The target in a process of its own: the request, the worker, its limits, and what it changes around it."""
