"""Ctrl-C is not lost where Python would drop it, and gives its exit code."""

import subprocess
import sys
from pathlib import Path

LOST = """
import gc, os, signal
from ilr_check.commands.interrupts import Interrupts
interrupts = Interrupts()
interrupts.watch()
def press(phase, info):
    if phase == "start":
        os.kill(os.getpid(), signal.SIGINT)
gc.callbacks.append(press)
gc.collect()
gc.callbacks.remove(press)
print("dropped")
interrupts.demand()
"""

THROUGH_TEXT = """
from ilr_check.commands.interrupts import leave
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    print("handled")
    leave(130)
"""

IGNORED = """
import signal
from ilr_check.commands.interrupts import Interrupts
signal.signal(signal.SIGINT, signal.SIG_IGN)
Interrupts().watch()
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""


def ran(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import signal; signal.signal(2, signal.default_int_handler)\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_interrupt_that_a_callback_dropped_is_raised_again() -> None:
    process = ran(LOST)
    assert process.stdout == "dropped\n"
    assert process.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in process.stderr


def test_another_exception_that_a_callback_drops_is_still_reported() -> None:
    process = ran(LOST.replace("os.kill(os.getpid(), signal.SIGINT)", "1 / 0"))
    assert "Exception ignored" in process.stderr
    assert "ZeroDivisionError" in process.stderr


def test_an_interrupt_that_was_handled_ends_in_its_code(tmp_path: Path) -> None:
    # The command runs as a module, because with SystemExit instead of leave Python 3.11 would then end by the
    # signal.
    (tmp_path / "through_text.py").write_text(THROUGH_TEXT)
    process = subprocess.run(
        [sys.executable, "-m", "through_text"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout) == (130, "handled\n")


def test_whoever_ignores_interrupts_goes_on_ignoring_them() -> None:
    assert ran(IGNORED).stdout == "True\n"
