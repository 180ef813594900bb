"""When to compile a training step, and how to do without a compiler."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

RUN_STEPS_THAT_PAY = 100_000
"""A compilation costs some 4 to 19 seconds on two cores and saves some 60 microseconds a run-step."""


def has_compiler() -> bool:
    """Whether torch.compile finds what it needs here: a C++ compiler, or CUDA with Triton."""
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))


def compile_pays(expected_run_steps: int, lanes: int) -> bool:
    """Whether the work ahead repays a compilation; few lanes leave it mostly waiting for Python."""
    return expected_run_steps >= RUN_STEPS_THAT_PAY and lanes >= 16 and has_compiler()


def compiled_or_eager(step: Callable[..., Any], wanted: bool) -> Callable[..., Any]:
    """The step compiled, or as it is; without a compiler it runs eagerly and says so once."""
    if not wanted:
        return step
    if not has_compiler():
        warnings.warn(
            "no C++ compiler was found, so training runs uncompiled (some 5 times slower); install g++",
            RuntimeWarning,
            stacklevel=3,
        )
        return step
    return torch.compile(step, fullgraph=True, dynamic=False)


@contextmanager
def room_for_programs() -> Iterator[None]:
    """Let one piece of code have many compiled variants: every net is one, and torch stops at 8.

    The compiler's own deprecation warnings are silent here: where warnings are errors, as in many test
    suites, they would stop it.
    """
    import torch._dynamo

    patch = torch._dynamo.config.patch(recompile_limit=256, accumulated_recompile_limit=4096)
    with patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
        yield
