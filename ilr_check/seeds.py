"""One integer seed decides a run. The seed of every random stream is derived from it by name."""

from __future__ import annotations

import hashlib

MAX_SEED = 2**63 - 1
"""The largest seed. ``derive`` returns no larger one, and torch accepts every seed up to it."""


def derive(*parts: object) -> int:
    """Return an integer in [0, 2^63) that depends on all parts. Different parts give unrelated seeds."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def checked_seed(seed: int) -> int:
    """Return a seed that the user gave. Raises ``ValueError`` if it is out of range."""
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed {seed} is out of range; give a whole number from 0 to {MAX_SEED}")
    return seed
