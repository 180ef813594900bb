"""Text as bytes: the sources of Python's own library, or a file or folder that the user names."""

from __future__ import annotations

import hashlib
import sysconfig
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.data.named_paths import TEXT
from ilr_check.data.specs import TextSpec

VARIABLE = TEXT.variable
"""The environment variable that names the file or the folder of the user's text."""
TOKENS = 256
"""The number of different bytes."""


class TextError(ValueError):
    """A text cannot be used. The message names the path, what is wrong with it, and the fix."""


named_text = TEXT.named
"""Return the file or folder that the user named, or None."""
naming = TEXT.naming
"""Name the text inside a ``with`` block."""


def text_spec(*, context: int, limit: int = 2**20, held_out: int = 2**16) -> TextSpec:
    """Return the spec of the user's text, or else of Python's sources, with the digest of what is there
    now."""
    path = named_text()
    unread = TextSpec(context=context, path=str(path) if path else "", limit=limit, held_out=held_out)
    return TextSpec(
        context=context,
        path=unread.path,
        limit=limit,
        held_out=held_out,
        digest=hashlib.sha256(contents(unread.path, limit)).hexdigest(),
    )


def files(path: str) -> list[Path]:
    """Return the files of a text in their order, with "" for the sources of Python's own library.

    Of a folder these are the files in it and below it, and of the library the modules that are one file.
    Raises ``TextError`` if there are none.
    """
    place = Path(path).expanduser() if path else Path(sysconfig.get_path("stdlib"))
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise TextError(f"{place} is neither a file nor a folder; name a file of text, or a folder of files")
    below = place.rglob("*") if path else place.glob("*.py")
    found = sorted((file for file in below if file.is_file()), key=lambda file: file.as_posix())
    if not found:
        what = "no files" if path else "no sources of Python's library"
        raise TextError(f"{place} has {what}; name a text with --text or {VARIABLE}")
    return found


@lru_cache(maxsize=4)
def contents(path: str, limit: int) -> bytes:
    """Return the first ``limit`` bytes of a text, file after file."""
    parts: list[bytes] = []
    left = limit
    for file in files(path):
        try:
            with file.open("rb") as stream:
                parts.append(stream.read(left))
        except OSError as error:
            raise TextError(f"{file} cannot be read ({error.strerror}); name another text") from error
        left -= len(parts[-1])
        if left == 0:
            break
    return b"".join(parts)


def parts(spec: TextSpec) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the bytes that are trained on, and the bytes held out, which are the last ones.

    Raises ``TextError`` if either is shorter than a row of tokens, or if the text is not the one whose digest
    the spec has.
    """
    text = contents(spec.path, spec.limit)
    found = hashlib.sha256(text).hexdigest()
    name = spec.path or "the library of this Python"
    if spec.digest and spec.digest != found:
        raise TextError(
            f"the first {len(text)} bytes of {name} have the sha256 {found[:12]}... and not "
            f"{spec.digest[:12]}... as the spec says; use the same text, or leave the digest out"
        )
    least = spec.held_out + spec.context + 1
    if len(text) < least:
        raise TextError(
            f"{name} has {len(text)} bytes; at least {least} are needed for a context of {spec.context} and "
            f"{spec.held_out} bytes held out; name a longer text, or hold out fewer"
        )
    whole = np.frombuffer(text, dtype=np.uint8)
    return whole[: -spec.held_out], whole[-spec.held_out :]


def rows_trained_on(spec: TextSpec) -> tuple[Tensor, Tensor, int]:
    """Return a row of context + 1 tokens from every position of the training part, as a view of its bytes."""
    tokens = torch.from_numpy(parts(spec)[0].copy())
    rows = tokens.unfold(0, spec.context + 1, 1)
    return rows, torch.zeros((), dtype=torch.int64).expand(len(rows)), TOKENS


def rows_held_out(spec: TextSpec, count: int) -> tuple[Tensor, Tensor, int]:
    """Return at most ``count`` rows of the part held out. A row starts at the last token of the one before,
    so that each token but the first is predicted once."""
    tokens = torch.from_numpy(parts(spec)[1].copy())
    rows = tokens.unfold(0, spec.context + 1, spec.context)[:count]
    return rows, torch.zeros((), dtype=torch.int64).expand(len(rows)), TOKENS


def unigram_loss(spec: TextSpec) -> float:
    """Return the mean loss on the part held out, in nats per byte, of the frequencies of the training part.

    Every byte is counted once more than it occurs, so that a new one does not cost infinitely much.
    """
    trained, held_out = parts(spec)
    counts = np.bincount(trained, minlength=TOKENS) + 1.0
    return float(-np.log(counts / counts.sum())[held_out[1:]].mean())


def bigram_loss(spec: TextSpec) -> float:
    """Return the same for the frequencies of pairs, each byte predicted from the byte before it.

    To the counts of what follows a byte, one count of the unigram frequencies is added.
    """
    trained, held_out = parts(spec)
    single = np.bincount(trained, minlength=TOKENS) + 1.0
    pairs = np.zeros((TOKENS, TOKENS))
    np.add.at(pairs, (trained[:-1], trained[1:]), 1.0)
    pairs += single / single.sum()
    shares = pairs / pairs.sum(axis=1, keepdims=True)
    return float(-np.log(shares[held_out[:-1], held_out[1:]]).mean())
