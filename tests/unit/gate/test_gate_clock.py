"""The limit of a law counts work and sleep, and not the time that a busy machine takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ilr_check.gate.process.clock import Clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def watched(code: str, seconds: float) -> tuple[float, float]:
    """Return the time that the clock counts for a child that runs this code, and the wall time."""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        clock, began = Clock(os.getpid()), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(0.05)
            spent = clock.spent()
        return spent, time.monotonic() - began
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def test_a_target_that_sleeps_is_counted_by_the_wall() -> None:
    spent, wall = watched("import time; print(flush=True); time.sleep(60)", 1.0)
    assert spent == pytest.approx(wall, abs=0.4)


def test_a_target_that_works_is_counted_by_its_cpu_time() -> None:
    code = "import os, time\nprint(flush=True)\nwhile True: pass"
    spent, wall = watched(code, 1.0)
    assert 0.0 < spent <= wall + 0.2
