"""The same spec, seed, device and versions give the same numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """Use full-precision products and deterministic kernels on a GPU inside a ``with`` block. A CPU needs
    nothing.

    cuBLAS also needs CUBLAS_WORKSPACE_CONFIG in the environment before the first product of the process. It
    is set here if nobody has set it.
    """
    if device != "cuda":
        yield
        return
    conv, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    strict = torch.are_deterministic_algorithms_enabled()
    before = (conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32)
    conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32 = False, False, True, False
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32 = before


def checked_device(device: str) -> str:
    """Return ``cpu`` or ``cuda`` for a device or ``auto``. Raises ``ValueError`` if the device is not
    there."""
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {device!r} is not known; choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available here: torch sees no GPU; use --device cpu or auto")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
