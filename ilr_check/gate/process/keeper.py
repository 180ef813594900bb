"""The process between the gate and the worker: it adopts orphans and survives neither.

It starts the worker, tells how the worker ended, and kills all that is left below it as soon as the gate
says so or is gone, however the gate died.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys

from ilr_check.gate.process import tree

WORK = "import sys; sys.path.append(sys.argv[1]); from ilr_check.gate.process.worker import main; main()"
"""Not ``-m``: a file called random.py in the working folder must not be what torch imports."""
POLL_SECONDS = 0.02


def main() -> None:
    """Keep one worker. The arguments are where the package is, and three descriptors.

    ``channel`` is for the worker; ``lifeline`` ends when the gate does; ``status`` takes the exit code.
    """
    root, (channel, lifeline, status) = sys.argv[1], map(int, sys.argv[2:5])
    for descriptor in (lifeline, status):
        os.set_inheritable(descriptor, False)
    tree.adopt_orphans()
    words = [sys.executable, "-P", "-c", WORK, root, str(channel)]
    worker = os.posix_spawn(sys.executable, words, os.environ)
    os.close(channel)
    told = False
    while not select.select([lifeline], [], [], POLL_SECONDS)[0]:
        for pid, code in _ended():
            if pid == worker and not told:
                told = os.write(status, f"{code}\n".encode()) > 0
    tree.end_below(os.getpid())
    _ended()


def _ended() -> list[tuple[int, int]]:
    """Return the children that ended, orphans too, with their exit codes; negative for a signal."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append((ended[0], os.waitstatus_to_exitcode(ended[1])))
    return found
