"""Runs one call of the command: threads, progress on a terminal, and a description of the machine."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from ilr_check.bench.measure import Plan, Progress, measure
from ilr_check.bench.results import Bench, Fit, PathName
from ilr_check.bench.scaling import measure_scaling
from ilr_check.evidence.manifest import current_hardware, current_versions
from ilr_check.train.compiling import has_compiler
from ilr_check.train.threads import thread_count, threads


def run_bench(plan: Plan, *, scaling: bool = False) -> Bench:
    """Measure the plan, and with ``scaling`` also how the cost of the fleet grows."""
    count = thread_count()
    with _progress() as progress, threads(count):
        rows, absent = measure(plan, count, progress)
        fits: list[Fit] = []
        if scaling:
            path: PathName = "compiled" if has_compiler() else "eager"
            fits, missing = measure_scaling(
                path,
                threads=count,
                device=plan.device,
                rounds=plan.rounds,
                seconds=plan.seconds,
                progress=progress,
            )
            absent += missing
        machine = {"processor": processor()} | current_hardware()
    return Bench(
        device=plan.device,
        machine=machine,
        versions=_versions(),
        rounds=plan.rounds,
        rows=tuple(rows),
        absent=tuple(absent),
        scaling=tuple(fits),
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a line that says what is being measured, on a terminal only and never on standard output."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("starting") as status:
        yield status.update


def _versions() -> dict[str, str]:
    wanted = ("python", "torch", "numpy", "ilr-check")
    found = {name: version for name, version in current_versions().items() if name in wanted}
    try:
        found["jax"] = metadata.version("jax")
    except metadata.PackageNotFoundError:
        found["jax"] = "absent"
    return found


def processor() -> str:
    """Return the name of the processor from Linux, or what Python knows elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
