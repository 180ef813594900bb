"""Real runs of the command in a forked process: torch is imported once, and hundreds of runs stay cheap."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 600.0


def forked(words: list[str], folder: Path, out: Path) -> int:
    """Start ``ilr-check`` with these words in a folder, and return the process id."""
    import ilr_check.api  # noqa: F401
    from ilr_check import cli

    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(folder)
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for number in (1, 2):
                os.dup2(descriptor, number)
            import sys

            sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            cli.main(words)
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 70
        finally:
            os._exit(code)
    return pid


def run_here(words: list[str], folder: Path) -> int:
    """Run ``ilr-check`` to its end in this process, so that every fork has its imports."""
    from ilr_check import cli

    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli.main(words)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 70
    finally:
        os.chdir(before)


def ended(pid: int) -> int:
    """Wait for a process and return its exit code, which is negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(words: list[str], folder: Path, out: Path) -> int:
    """Run ``ilr-check`` to its end."""
    return ended(forked(words, folder, out))


def killed_after(pid: int, seconds: float, sign: signal.Signals = signal.SIGKILL) -> int:
    """Wait, then send a signal to a run and to the processes that it started, unless the run has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(min(0.005, max(0.0, deadline - time.monotonic())))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)
    return ended(pid)


def verdicts(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a run folder in their planned order, without ``seconds``."""
    from ilr_check.evidence import RunFolder

    return [json.loads(line) | {"seconds": 0} for line in _lines(RunFolder.open(folder))]


def _lines(folder: Any) -> Iterator[bytes]:
    from ilr_check.evidence import records

    return (records.encode(record) for record in folder.records())
