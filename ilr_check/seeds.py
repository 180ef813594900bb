"""One integer seed decides a run. The seed of every random stream is derived from it by name."""

from __future__ import annotations

import hashlib


def derive(*parts: object) -> int:
    """Return an integer in [0, 2^63) that depends on all parts. Different parts give unrelated seeds."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
