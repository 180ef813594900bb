"""Describe an exception in a finding, and decide whether the optimizer caused it."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

PACKAGE = str(Path(__file__).parents[2]) + os.sep
LIBRARIES = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) + os.sep for name in ("stdlib", "platstdlib")}
)
BOUNDARY = ("build", "step", "set", "hand", "take_step", "advance")
"""Our functions that only call the optimizer: what leaves them without a frame of ours is the optimizer's."""
MAX_TEXT = 600
"""Characters of one exception; tensors in a message can be long."""


def exception_words(error: BaseException) -> str:
    """Return ``TypeError: message`` on one line.

    An exception whose ``__str__`` raises, or whose text cannot be encoded, is still named.
    """
    try:
        text = " ".join(str(error).split())
    except Exception as second:
        text = f"(its __str__ raises {type(second).__name__})"
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + " ..."
    return encodable(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def encodable(text: str) -> str:
    """Return the text with lone surrogates written as escapes, so that it can be stored as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def raised_at(error: BaseException) -> str:
    """Return `` (file:line)`` of the innermost frame outside this package and outside torch, or nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(PACKAGE) and not _of_torch_core(f.filename)]
    if not frames:
        return ""
    last = (own or frames)[-1]
    return encodable(f" ({last.filename}:{last.lineno})")


def blames_the_target(error: BaseException) -> bool:
    """Return whether an exception that came out of a law was raised by the optimizer.

    The frames after the last one of this package decide. A frame in the optimizer's own file, or in
    ``torch.optim``, is the optimizer. Frames of torch's core and of the standard library alone are its doing
    only where our frame is one that does nothing but call the optimizer.
    """
    frames = list(_frames(error.__traceback__))
    ours = max((i for i, (file, _) in enumerate(frames) if file.startswith(PACKAGE)), default=-1)
    later = frames[ours + 1 :]
    if any(not _of_torch_core(file) and not _of_python(file) for file, _ in later):
        return True
    return bool(later) and ours >= 0 and frames[ours][1] in BOUNDARY


def _frames(trace: TracebackType | None) -> list[tuple[str, str]]:
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((code.co_filename, code.co_name))
        trace = trace.tb_next
    return found


def _of_python(file: str) -> bool:
    return file.startswith(LIBRARIES) and f"{os.sep}site-packages{os.sep}" not in file


def _of_torch_core(file: str) -> bool:
    """Return whether a file belongs to torch (but not torch.optim), to numpy, or is a frozen module."""
    if file.startswith("<frozen") or f"{os.sep}numpy{os.sep}" in file:
        return True
    torch = sys.modules.get("torch")
    root = str(Path(torch.__file__).parent) + os.sep if torch is not None and torch.__file__ else os.sep
    if not file.startswith(root):
        return False
    inside = file[len(root) :]
    shared = ("optim" + os.sep + "optimizer.py", "optim" + os.sep + "lr_scheduler.py")
    return not inside.startswith("optim" + os.sep) or inside in shared
