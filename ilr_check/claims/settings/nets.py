"""Nets on which every claim is also judged: fixed ones on real data, and generated ones drawn up front."""

from __future__ import annotations

import math

from ilr_check.claims.claim import Profile
from ilr_check.data import DataSpec, DigitsSpec, TeacherStudentSpec
from ilr_check.nets import degenerate
from ilr_check.nets.build import count_parameters
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec, ResNetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Cosine, Drops
from ilr_check.seeds import derive
from ilr_check.train.loop import Setting

REFERENCE = MLPSpec(inputs=64, widths=(64, 64), classes=10)
"""The BatchNorm MLP 64-64-64 on digits, which is the net of the benchmarks and of the statistical claims."""

NARROW = MLPSpec(inputs=64, widths=(24, 24), classes=10)
"""A narrower net, for the control whose noise is drawn for every weight."""

FOUR_LAYERS_SMALL = CNNSpec(image=(1, 14, 14), channels=(8,) * 4, strides=(1, 2, 1, 2), classes=10)
"""The paper's four-layer CNN for MNIST at width 8, for ``Mnist5kSpec(side=14)``."""

FOUR_LAYERS = CNNSpec(image=(1, 28, 28), channels=(32,) * 4, strides=(1, 2, 1, 2), classes=10)
"""The same net in full size. The paper only calls it "a simple 4-layer CNN"; width and strides are ours, and
the kernels are 3x3 as in its other nets."""

LAYER_NORMED = MLPSpec(inputs=16, widths=(24,), classes=10, norm=NormSpec(kind="layer"))
GROUP_NORMED = MLPSpec(inputs=16, widths=(32,), classes=10, norm=NormSpec(kind="group", groups=4))
"""Small nets whose loss does not depend on the batch that an example is in, for claims about batches."""

STUDENT = TeacherStudentSpec(inputs=16, classes=10, examples=128, label_noise=0.2)
"""The data of these nets. At equilibrium the mean gradient is large enough to be measured beside the noise of
64 examples."""

LAYER_NORM_MLP = MLPSpec(inputs=16, widths=(32, 32), classes=10, norm=NormSpec(kind="layer"))
TEACHER = TeacherStudentSpec(inputs=16, classes=10, examples=512, label_noise=0.5)
"""A second net and its data, beside the reference net on digits, for claims about functions."""

_SMALL_CNN = CNNSpec(image=(1, 8, 8), channels=(8, 16), strides=(1, 2), classes=10)
_PRE_RESIDUAL = ResNetSpec(shape=(64,), width=32, blocks=2, classes=10, norm=NormSpec(kind="layer"))


PRODUCTS_ON_IMAGES = 60_000
"""The largest number of multiplications for an example in a generated net on images: two layers of 16 on
4x5."""


def digits_settings(
    profile: Profile, *, momentum: float, nesterov: bool = False
) -> tuple[tuple[str, Setting], ...]:
    """Return trainings on digits with a time-varying lr and weight decay, each with a title."""
    nets: dict[str, NetSpec] = {"BatchNorm MLP": REFERENCE, "BatchNorm CNN": _SMALL_CNN}
    if profile != "quick":
        nets["pre-residual LayerNorm net"] = _PRE_RESIDUAL
    steps = 120 if profile == "quick" else 1000
    hyper = HyperParams(
        lr=0.5 * (1.0 - momentum),
        weight_decay=0.02,
        momentum=momentum,
        nesterov=nesterov,
        batch_size=32,
        steps=steps,
        seed=1,
    )
    return tuple(
        (
            f"{name} on digits",
            Setting(
                net=net,
                data=DigitsSpec(label_noise=0.1),
                hyper=hyper,
                lr_schedule=Cosine(),
                decay_schedule=Drops(period=steps // 3, factor=2.0),
            ),
        )
        for name, net in nets.items()
    )


def statistical_nets(claim: str, profile: Profile, seed: int) -> tuple[tuple[NetSpec, DataSpec], ...]:
    """Return generated nets for a statistical claim: a fixed number, drawn up front, each decided once.

    The nets are large enough to learn and to have noise that averages. With few classes or very few weights
    the noise differs so much from run to run that hundreds of runs would be needed. Biases are left out,
    because they have no effect in front of a norm layer. Convolutions cost ten times as much, so they are
    drawn in ``standard`` only, and only cheap ones. The label noise is 0.5, so that the gradient noise does
    not vanish.
    """
    from ilr_check.strategies import drawn, net_specs

    quick = profile == "quick"
    count = 1 if quick else 2
    strategy = net_specs(
        min_depth=1,
        max_depth=3,
        min_width=16,
        max_width=40,
        max_inputs=32,
        min_classes=10,
        max_classes=10,
        biases=(False,),
        nets=("mlp", "cnn", "resnet"),
        norms=("batch", "layer", "group", "instance"),
        affines=(False,),
        shared=(False,),
    ).filter(lambda net: net.inputs >= 16 and degenerate(net, 32) is None and _cheap(net, quick))
    # Hypothesis tries the smallest example first, whatever the seed; it would be the same net each time.
    nets = drawn(strategy, count + 1, derive(claim, "nets", seed))[1:]
    return tuple(
        (net, TeacherStudentSpec(inputs=net.inputs, classes=net.classes, examples=512, label_noise=0.5))
        for net in nets
    )


def _cheap(net: NetSpec, quick: bool) -> bool:
    """Return whether a run-step costs at most about 6 times that of a flat net.

    Among those left out, 5x5 kernels on three layers cost 20 to 40 times as much and took a third of the time
    of a whole ``standard`` run. 1x1 kernels cost four times as much as 3x3 ones.
    """
    image = net.image if isinstance(net, CNNSpec) else net.shape if isinstance(net, ResNetSpec) else ()
    if len(image) < 3:
        return True
    assert isinstance(net, CNNSpec | ResNetSpec)
    return (
        not quick and net.kernel == 3 and count_parameters(net) * math.prod(image[1:]) <= PRODUCTS_ON_IMAGES
    )
