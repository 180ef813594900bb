"""The target runs in its own process: the request, the worker, its limits, and its side effects."""
