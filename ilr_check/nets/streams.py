"""Random streams of nets, by purpose and seed."""

from __future__ import annotations

import torch

from ilr_check.seeds import derive


def stream(purpose: str, seed: int) -> torch.Generator:
    """Return a CPU generator for one purpose. Equal seeds for different purposes share no numbers."""
    return torch.Generator().manual_seed(derive(purpose, seed))
