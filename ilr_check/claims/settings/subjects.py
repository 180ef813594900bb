"""The subjects of statistical claims: real nets on real data, and generated nets."""

from __future__ import annotations

from typing import NamedTuple

from ilr_check.claims.claim import Profile
from ilr_check.claims.settings.nets import FOUR_LAYERS_SMALL, REFERENCE, statistical_nets
from ilr_check.data import DataSpec, DigitsSpec, Mnist5kSpec, TangentNoise
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec, ResNetSpec


class Subject(NamedTuple):
    """A net, its data and its batch size; the fields are those that every experiment has."""

    title: str
    net: NetSpec
    data: DataSpec
    batch_size: int = 32

    @property
    def slow(self) -> bool:
        """Whether a run-step costs at least ten times that of the reference net, so that fewer runs must
        do."""
        return isinstance(self.net, CNNSpec | ResNetSpec) or self.batch_size > 128


_NOISY = DigitsSpec(label_noise=0.5)

DIGITS = Subject("digits, label noise 0.5", REFERENCE, _NOISY)
CLEAN = Subject("digits, clean labels", REFERENCE, DigitsSpec())
_LAYER_NORM = MLPSpec(inputs=64, widths=(64, 64), classes=10, norm=NormSpec(kind="layer"))

BESIDE = {
    "BatchNorm CNN": Subject(
        "digits, BatchNorm CNN",
        CNNSpec(image=(1, 8, 8), channels=(8, 16), strides=(2, 2), classes=10),
        _NOISY,
    ),
    "GroupNorm CNN": Subject(
        "digits, GroupNorm CNN, batch 16",
        CNNSpec(
            image=(1, 8, 8),
            channels=(8, 16),
            strides=(2, 2),
            classes=10,
            norm=NormSpec(kind="group", groups=4),
        ),
        _NOISY,
        16,
    ),
    "residual CNN": Subject(
        "digits, pre-residual CNN, batch 16",
        ResNetSpec(shape=(1, 8, 8), width=8, blocks=1, classes=10),
        _NOISY,
        16,
    ),
    "MNIST CNN": Subject(
        "MNIST-5k in 14x14, the paper's four layers at width 8, batch 16",
        FOUR_LAYERS_SMALL,
        Mnist5kSpec(side=14, label_noise=0.5),
        16,
    ),
    "LayerNorm": Subject("digits, LayerNorm MLP", _LAYER_NORM, _NOISY),
    "LayerNorm, batch 4": Subject("digits, LayerNorm MLP, batch 4", _LAYER_NORM, _NOISY, 4),
    "GroupNorm, batch 256": Subject(
        "digits, GroupNorm MLP, batch 256",
        MLPSpec(inputs=64, widths=(32, 32), classes=10, norm=NormSpec(kind="group", groups=8)),
        _NOISY,
        256,
    ),
    "BatchNorm, batch 128": Subject("digits, BatchNorm MLP, batch 128", REFERENCE, _NOISY, 128),
}
"""Subjects on real data beyond the reference net.

A claim names two or three of them, one on images and one with another batch size. So each subject is judged
by several claims, and no claim rests on one net. All claims on all subjects would take a night.

Two of the subjects suit few claims. At batch 256 with GroupNorm the norm of the gradient jumps (single runs
deviate by up to 1.3 after a drop). With LayerNorm at batch 4 the gradient of a batch varies so much that 200
runs leave intervals of 0.15, so claims about single paths stay undecided there.
"""


def subjects(claim: str, profile: Profile, seed: int, *, beside: tuple[str, ...]) -> tuple[Subject, ...]:
    """Return the reference net alone in ``quick``; beyond, also the subjects in ``beside`` and generated
    nets."""
    if profile == "quick":
        return (DIGITS,)
    return (DIGITS, *(BESIDE[name] for name in beside), *generated(claim, profile, seed))


def generated(claim: str, profile: Profile, seed: int) -> tuple[Subject, ...]:
    """Return generated nets, drawn up front for this claim."""
    return tuple(
        Subject(f"generated net {number}", net, data)
        for number, (net, data) in enumerate(statistical_nets(claim, profile, seed), start=1)
    )


NOISE = TangentNoise(size=60.0)
"""The size of the noise. Its square is 500 to 1000 times the squared gradient of a net on digits, so that the
optimizer alone is judged."""

ONE_LAYER = MLPSpec(inputs=64, widths=(24,), classes=10)
FILTERS = CNNSpec(image=(1, 8, 8), channels=(24,), strides=(2,), classes=10)
"""A filter bank: one layer with a seventh of the coordinates."""


class Control(NamedTuple):
    """A net on digits whose gradient is small beside the added noise; its fields are those of an
    equilibrium."""

    title: str
    net: NetSpec
    data: DataSpec = DigitsSpec()
    noise: TangentNoise = NOISE


def controls(profile: Profile, net: NetSpec) -> tuple[Control, ...]:
    """Return ``net`` alone in ``quick``; beyond, a filter bank too."""
    found = (Control("control: digits, dominated by noise", net),)
    if profile == "quick":
        return found
    return (*found, Control("control: filters on digits, dominated by noise", FILTERS))
