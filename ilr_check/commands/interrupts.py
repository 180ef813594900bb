"""Handle Ctrl-C so that it is never lost and the exit code reports it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn


class Interrupts:
    """Notes that Ctrl-C was pressed, besides raising ``KeyboardInterrupt`` as always.

    Python drops an exception that is raised in a callback, such as the one by which Hypothesis times the
    garbage collector; ``demand`` raises it again where it is sure to be heard.
    """

    def __init__(self) -> None:
        self.asked = False

    def watch(self) -> None:
        """Listen, unless a caller handles or ignores Ctrl-C in a way of its own."""
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._note)

    def demand(self) -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl-C was pressed at any time since ``watch``."""
        if self.asked:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt


def leave(code: int) -> NoReturn:
    """Exit with ``code`` after an interrupt, whatever code it passed through.

    Where it passed through an ``exec`` of text, Python remembers it and ends the process by the signal,
    although it was handled (CPython's ``_Py_UnhandledKeyboardInterrupt``).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
