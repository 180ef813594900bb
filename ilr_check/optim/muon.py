"""Muon as a rule, in the form of ``torch.optim.Muon``: Newton-Schulz in bfloat16, for all runs at once.

Jordan et al. 2024: let U S V^T be the singular value decomposition of the momentum of a weight matrix. Five
steps of a quintic iteration replace the momentum by an approximation of U V^T.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ilr_check.optim.rules import Array, Columns, Rule, State

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
EPS = 1e-7
"""The default of ``torch.optim.Muon``."""


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return an approximation of U V^T of each matrix [runs, rows, columns], in bfloat16."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=EPS)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _coefficients(c: Columns) -> tuple[Array, ...]:
    return 1 - c["lr"] * c["weight_decay"], -c["lr"], 1 - c["momentum"], c["momentum"]


def _muon(w: Tensor, g: Tensor, state: State, c: tuple[Tensor, ...]) -> tuple[Tensor, State]:
    buffer = torch.lerp(state[0], g, c[2])
    update = orthogonalised(torch.lerp(g, buffer, c[3])).to(w.dtype)
    # Tall matrices take larger steps, as in Jordan's own code.
    ratio = math.sqrt(max(1.0, w.shape[1] / w.shape[2]))
    return torch.addcmul(w * c[0], c[1] * ratio, update), (buffer,)


COARSENESS = 16 * 2.0**-8
"""Newton-Schulz rounds 15 products and the momentum to bfloat16, whose unit roundoff is 2^-8. A compiled step
rounds at other places: it differed from an eager one by 2.3 % of its length."""

muon = Rule("muon", _coefficients, _muon, ("momentum_buffer",), dimensions=2, coarseness=COARSENESS)
"""Muon with Nesterov momentum and ``adjust_lr_fn="original"``."""
