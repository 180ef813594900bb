"""Decides when to compile a training step, and trains without a compiler if there is none."""

from __future__ import annotations

import logging
import shutil
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

log = logging.getLogger(__name__)

COLD_SECONDS, WARM_SECONDS = 19.0, 3.4
"""The cost of compiling one net on two cores: the first net on a machine, and each further net."""
SAVED_MICROSECONDS = 65.0
"""How much more a run-step of the reference net (64-64-64, batch 32, 64 lanes) costs without compiling."""

RUN_STEPS_THAT_PAY, GPU_RUN_STEPS_THAT_PAY = 100_000, 2_000_000
"""Compiling pays from this number of run-steps on. On a CPU it lies between the 52 000 run-steps that repay a
further net and the 290 000 that repay the first one. Whether a net is the first must not decide, because it
would change the last bits of a run. On a GPU, whose eager steps are graphs, compiling saves 5 us per run-step
and costs 10 s (H100, the reference net)."""

LOOPS = torch.torch_version.TorchVersion(torch.__version__) >= "2.13"
"""Whether many steps are one program that C++ calls instead of Python. It was not tested with older versions,
which compile single steps."""
LOOP_LANES = 16
"""The largest number of lanes whose steps are one loop, if a net usually has more. On the reference net a
run-step takes 44 us instead of 104 with one lane, 31 instead of 35 with 16, and the same with 64. torch keeps
no compiled loops on the disk, so each process compiles its own."""
_OPTIONS: dict[str, Any] = {"cpp_wrapper": True, "cpp_wrapper_build_separate": True} if LOOPS else {}
"""The C++ that calls the kernels is compiled apart from them, with few optimizations. Together with them, it
took more than 5 minutes of g++ for a net of 50 layers, instead of 1, and neither speed nor bits differ."""

NO_COMPILER = "no C++ compiler was found, so training runs uncompiled (about 5 times slower); install g++"


def has_compiler() -> bool:
    """Return whether torch.compile finds a C++ compiler here."""
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))


def run_steps_that_pay(device: str) -> int:
    """Return how many run-steps of one net repay its compilation on a device."""
    return RUN_STEPS_THAT_PAY if device == "cpu" else GPU_RUN_STEPS_THAT_PAY


def compile_pays(expected_run_steps: int, lanes: int, enough: int = 16, device: str = "cpu") -> bool:
    """Return whether the work ahead repays a compilation. Fewer lanes than ``enough`` mostly wait for
    Python."""
    return expected_run_steps >= run_steps_that_pay(device) and lanes >= enough


def compiled_or_eager(program: Callable[..., Any], wanted: bool, device: str = "cpu") -> Callable[..., Any]:
    """Return the program, compiled if wanted. If that is impossible it runs eagerly and logs so once."""
    if not wanted:
        return program
    if not has_compiler():
        notify(NO_COMPILER)
        return program
    return _Compiled(program, device == "cpu")


@lru_cache
def notify(message: str) -> None:
    """Log a notice, once per process."""
    log.warning(message)


class _Compiled:
    """A program that is compiled at its first call, and runs eagerly if the compiler fails."""

    def __init__(self, program: Callable[..., Any], on_cpu: bool) -> None:
        # torch keeps compiled variants by code object and checks all of them at every call. A program with a
        # code object of its own has no other variants to check.
        own = types.FunctionType(
            program.__code__.replace(),
            program.__globals__,
            program.__name__,
            program.__defaults__,
            program.__closure__,
        )
        self._eager = own
        self._run = torch.compile(own, fullgraph=True, dynamic=False, options=_OPTIONS if on_cpu else None)

    def __call__(self, *args: Any) -> Any:
        try:
            return self._run(*args)
        except _failures() as error:
            # The error is raised before anything runs, so the step is not half done.
            first = next(iter(str(error).splitlines()), "")
            notify(f"the compiler failed, so training runs uncompiled: {type(error).__name__}: {first}")
            self._run = self._eager
            return self._eager(*args)


@lru_cache
def _failures() -> tuple[type[Exception], ...]:
    from torch._dynamo.exc import BackendCompilerFailed

    try:
        from torch._inductor.exc import InductorError
    except ImportError:  # torch < 2.7
        return (BackendCompilerFailed,)
    return (BackendCompilerFailed, InductorError)


@contextmanager
def room_for_programs() -> Iterator[None]:
    """Let one piece of code have many compiled variants inside a ``with`` block. torch stops at 8.

    The compiler's own deprecation warnings are silenced, because they would stop it in test suites that turn
    warnings into errors.
    """
    import torch._dynamo

    patch = torch._dynamo.config.patch(recompile_limit=256, accumulated_recompile_limit=4096)
    with patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
        yield


@contextmanager
def settled() -> Iterator[None]:
    """Skip the compiler's checks that its programs still fit. Use it only after each program has run once.

    A chunk of a fleet gives its programs the same storage, shapes and strides at every step, so the programs
    fit as they did at the first step. The checks cost about 5 % of a step, and more with few lanes.
    """
    try:
        stance = torch.compiler.set_stance("default", skip_guard_eval_unsafe=True)
    except TypeError:  # torch < 2.7
        yield
        return
    with stance:
        yield
