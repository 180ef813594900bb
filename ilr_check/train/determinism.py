"""Same spec, seed, device and versions: same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """On a GPU, full-precision products and deterministic kernels for a while; on the CPU nothing is needed.

    cuBLAS also wants CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment before the first product; where it
    is not set, torch says so.
    """
    if device != "cuda":
        yield
        return
    conv, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32)
    conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32 = False, False, True, False
    try:
        yield
    finally:
        conv.allow_tf32, conv.benchmark, conv.deterministic, matmul.allow_tf32 = before
