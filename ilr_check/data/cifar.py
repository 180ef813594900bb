"""CIFAR-10 from a folder that the user names, in its python or its binary distribution. It is never
downloaded."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.data.named_paths import CIFAR10

Part = Literal["train", "test"]
Bytes = NDArray[np.uint8]

PIXELS = 3 * 32 * 32
CLASSES = 10
VARIABLE = CIFAR10.variable
"""The environment variable that names the folder."""

NAMES: dict[Part, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{i}" for i in range(1, 6)),
    "test": ("test_batch",),
}
REAL = 10_000
"""The number of examples in each file of the real set, in which all classes have the same size."""
EXAMPLES = REAL
"""The expected number of examples per file. A folder of smaller files of the same format needs
``examples``."""


class CifarError(ValueError):
    """A folder is not CIFAR-10. The message names the file, what is wrong with it, and the fix."""


named_folder = CIFAR10.named
"""Return the folder that the user named, or None."""
naming = CIFAR10.naming
"""Name the folder inside a ``with`` block."""


def check(folder: Path) -> None:
    """Raise ``CifarError`` unless all files of a distribution are there. No file is read."""
    _distribution(folder.expanduser())


def check_contents(folder: Path, *, examples: int | None = None) -> None:
    """Read every file of a distribution and raise ``CifarError`` for the first damaged one."""
    for part in NAMES:
        read(folder.expanduser(), part, examples=examples)


def read(folder: Path, part: Part, *, examples: int | None = None) -> tuple[Bytes, NDArray[np.int64]]:
    """Return pixels [n, 3072], channel by channel, and labels [n] of a part; ``examples`` is the number per
    file.

    The folder holds either distribution, or is the one above it. Raises ``CifarError`` for a file that is
    missing, has the wrong size, or does not contain images and labels, and for a part of the real set in
    which the classes do not all have the same size.
    """
    examples = EXAMPLES if examples is None else examples
    home, suffix = _distribution(folder)
    parse: Callable[[Path, int], tuple[Bytes, Bytes]] = _binary if suffix else _python
    files = [home / f"{name}{suffix}" for name in NAMES[part]]
    parts = [parse(path, examples) for path in files]
    labels = np.concatenate([y for _, y in parts]).astype(np.int64)
    counts = np.bincount(labels, minlength=CLASSES)
    if examples == REAL and len(set(counts.tolist())) > 1:
        raise CifarError(
            f"{', '.join(path.name for path in files)} in {home} have {counts.tolist()} examples of the "
            f"classes and not {len(labels) // CLASSES} of each, so a file is damaged; unpack CIFAR-10 again"
        )
    return np.concatenate([x for x, _ in parts]), labels


def _distribution(folder: Path) -> tuple[Path, str]:
    """Return where the files are and how their names end. All files of the set have to be there."""
    if not folder.is_dir():
        raise CifarError(f"{folder} is not a folder; name the folder into which CIFAR-10 was unpacked")
    wanted = [name for names in NAMES.values() for name in names]
    places = [(folder / below, end) for below, end in (("", ""), ("", ".bin"))]
    places += [(folder / "cifar-10-batches-py", ""), (folder / "cifar-10-batches-bin", ".bin")]
    missing = {
        place: [f"{name}{place[1]}" for name in wanted if not (place[0] / f"{name}{place[1]}").is_file()]
        for place in places
    }
    best = min(places, key=lambda place: len(missing[place]))
    if missing[best]:
        raise CifarError(
            f"{best[0]} lacks {', '.join(missing[best])}; unpack the whole python or binary distribution of "
            "CIFAR-10 there"
        )
    return best


def _binary(path: Path, examples: int) -> tuple[Bytes, Bytes]:
    """Return pixels and labels of a file whose rows are a label and 3072 pixels."""
    size, expected = path.stat().st_size, examples * (1 + PIXELS)
    if size != expected:
        raise CifarError(
            f"{path} has {size} bytes and not {expected}, so it is damaged; unpack CIFAR-10 again"
        )
    rows = np.fromfile(path, dtype=np.uint8).reshape(examples, 1 + PIXELS)
    return rows[:, 1:], _labels(path, rows[:, 0])


def _python(path: Path, examples: int) -> tuple[Bytes, Bytes]:
    """Return pixels and labels of a file that is a pickled mapping with ``data`` and ``labels``."""
    try:
        with path.open("rb") as stream:
            found = _Arrays(stream, encoding="bytes").load()
        pixels, labels = np.asarray(found[b"data"]), np.asarray(found[b"labels"])
    except CifarError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise CifarError(f"{path} cannot be read ({error}); unpack CIFAR-10 again") from error
    if pixels.shape != (examples, PIXELS) or pixels.dtype != np.uint8 or labels.shape != (examples,):
        raise CifarError(
            f"{path} holds pixels {pixels.shape} of {pixels.dtype} and labels {labels.shape}, not "
            f"{(examples, PIXELS)} of uint8 and {(examples,)}; unpack CIFAR-10 again"
        )
    return pixels, _labels(path, labels)


def _labels(path: Path, labels: NDArray[Any]) -> Bytes:
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= CLASSES:
        raise CifarError(f"{path} has labels outside 0 to {CLASSES - 1}; unpack CIFAR-10 again")
    return labels.astype(np.uint8)


class _Arrays(pickle.Unpickler):
    """Unpickles arrays and plain values only, because a pickle could otherwise run any code."""

    ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that arrays need, and refuse every other class."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        if module.startswith("numpy") and name == "_reconstruct":
            module = "numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray"
        return super().find_class(module, name)
