"""MNIST from a folder that the user names, as its four IDX files, packed with gzip or not. It is never
downloaded."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.data.named_paths import MNIST
from ilr_check.data.specs import MnistSpec

Part = Literal["train", "test"]
Bytes = NDArray[np.uint8]

SIDE = 28
CLASSES = 10
VARIABLE = MNIST.variable
"""The environment variable that names the folder."""
FILES: dict[Part, tuple[str, str]] = {
    "train": ("train-images", "train-labels"),
    "test": ("t10k-images", "t10k-labels"),
}
"""The files of images and of labels, without the ends of their names."""
ENDS = {"images": ("-idx3-ubyte", ".idx3-ubyte"), "labels": ("-idx1-ubyte", ".idx1-ubyte")}
"""How names go on; ``.gz`` may follow."""


class MnistError(ValueError):
    """A folder is not MNIST. The message names the file, what is wrong with it, and the fix."""


named_folder = MNIST.named
"""Return the folder that the user named, or None."""
naming = MNIST.naming
"""Name the folder inside a ``with`` block."""


def mnist_spec(folder: Path, *, label_noise: float = 0.0) -> MnistSpec:
    """Return the spec of a folder, with the digest of what is there now. Raises ``MnistError``."""
    return MnistSpec(folder=str(folder), label_noise=label_noise, digest=digest(str(folder)))


def check(folder: Path) -> None:
    """Raise ``MnistError`` unless all four files are there. No file is read."""
    _files(folder.expanduser())


@lru_cache(maxsize=2)
def digest(folder: str) -> str:
    """Return the sha256 of the four files, unpacked, in the order of ``FILES``."""
    found = hashlib.sha256()
    for path in _files(Path(folder).expanduser()):
        found.update(_unpacked(path))
    return found.hexdigest()


def read(spec: MnistSpec, part: Part) -> tuple[Bytes, NDArray[np.int64]]:
    """Return pixels [n, 784] and labels [n] of a part.

    Raises ``MnistError`` for a file that is missing or damaged, for images and labels that do not fit
    together, and for another folder than the one whose digest the spec has.
    """
    found = digest(spec.folder)
    if spec.digest and spec.digest != found:
        raise MnistError(
            f"the files in {spec.folder} have the sha256 {found[:12]}... and not {spec.digest[:12]}... as "
            "the spec says; use the same files, or leave the digest out"
        )
    paths = _files(Path(spec.folder).expanduser())
    images, labels = paths[:2] if part == "train" else paths[2:]
    pixels, classes = _array(images, dimensions=3), _array(labels, dimensions=1)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise MnistError(
            f"{images} has images of {pixels.shape[1]} x {pixels.shape[2]} pixels and not {SIDE} x {SIDE}; "
            "name a folder with MNIST"
        )
    if len(pixels) != len(classes):
        raise MnistError(
            f"{images} has {len(pixels)} images and {labels.name} has {len(classes)} labels, so one of them "
            "is damaged or of another set; unpack MNIST again"
        )
    if not len(classes) or classes.max() >= CLASSES:
        raise MnistError(f"{labels} has no labels, or labels outside 0 to {CLASSES - 1}; unpack MNIST again")
    return pixels.reshape(len(pixels), -1), classes.astype(np.int64)


def _files(folder: Path) -> list[Path]:
    """Return the four files: images and labels to train on, images and labels to test."""
    if not folder.is_dir():
        raise MnistError(f"{folder} is not a folder; name the folder with the four IDX files of MNIST")
    found, missing = [], []
    for stem in (stem for stems in FILES.values() for stem in stems):
        ends = ENDS[stem.rpartition("-")[2]]
        names = [f"{stem}{end}{packed}" for packed in ("", ".gz") for end in ends]
        there = [folder / name for name in names if (folder / name).is_file()]
        found += there[:1]
        missing += [] if there else [names[0]]
    if missing:
        raise MnistError(
            f"{folder} lacks {', '.join(missing)}; put all four IDX files of MNIST there, packed with gzip "
            "or not"
        )
    return found


@lru_cache(maxsize=4)
def _unpacked(path: Path) -> bytes:
    try:
        packed = path.suffix == ".gz"
        return gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise MnistError(f"{path} cannot be read ({error}); unpack MNIST again") from error


def _array(path: Path, *, dimensions: int) -> Bytes:
    """Return the array of an IDX file of bytes: 0, 0, 8, the number of dimensions, their sizes, the data."""
    content = _unpacked(path)
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes((0, 0, 8, dimensions)):
        raise MnistError(
            f"{path} does not begin as an IDX file of bytes in {dimensions} dimensions; unpack MNIST again"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:head], dtype=">u4"))
    expected = head + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise MnistError(
            f"{path} has {len(content)} bytes and not {expected}, as its head says; unpack MNIST again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)
