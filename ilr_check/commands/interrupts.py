"""Handles Ctrl-C so that it is never lost and the exit code reports it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn


class Interrupts:
    """Records that Ctrl-C was pressed, and raises ``KeyboardInterrupt`` as Python does.

    Python drops an exception that is raised in some callbacks, such as the one by which Hypothesis times the
    garbage collector. ``demand`` raises it again at a place where it is not dropped. Python would also print
    a traceback of what it drops; since the interrupt is not lost, nothing is printed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._report = sys.unraisablehook

    def watch(self) -> None:
        """Start to record Ctrl-C, unless the caller has its own handler or ignores Ctrl-C."""
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._note)
            self._report, sys.unraisablehook = sys.unraisablehook, self._dropped

    def demand(self) -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl-C was pressed at any time since ``watch``."""
        if self.asked:
            raise KeyboardInterrupt

    def _dropped(self, dropped: sys.UnraisableHookArgs) -> None:
        if not (self.asked and isinstance(dropped.exc_value, KeyboardInterrupt)):
            self._report(dropped)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt


def leave(code: int) -> NoReturn:
    """End the process with ``code`` after an interrupt.

    ``sys.exit`` is not enough. If the interrupt passed through an ``exec`` of text, Python ends the process
    by the signal although the interrupt was handled (CPython's ``_Py_UnhandledKeyboardInterrupt``).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
