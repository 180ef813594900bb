"""What is trained to measure speed. ``ilr-check bench`` and ``benchmarks/`` share this definition."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ilr_check.claims.settings.nets import REFERENCE
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec, NormSpec, ResNetSpec

DATA = DigitsSpec()
DTYPE_BYTES = 4
"""All paths train in float32."""


Net = MLPSpec | CNNSpec | ResNetSpec


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A net on digits with plain SGD and weight decay. Every path trains exactly this.

    ``lanes`` is the number of runs that a fleet trains at once. It is as large as the caches allow for the
    activations of a step: with 8 runs, a run of the CNN was measured to cost half as much as with 64.
    """

    name: str
    title: str
    net: Net
    batch_size: int = 32
    lanes: int = 64
    lr: float = 0.5
    weight_decay: float = 8e-3

    def __post_init__(self) -> None:
        net = self.net
        if net.norm != NormSpec() or net.bias or net.shared or net.activation != "relu":
            raise ValueError(
                f"{net}: the loop and the JAX nets support only BatchNorm without gains, ReLU, no biases "
                "and weights that are not shared; leave these fields at their defaults"
            )


REFERENCE_WORKLOAD = Workload(name="reference", title="64-64-64 BatchNorm MLP", net=REFERENCE)

WORKLOADS = {
    workload.name: workload
    for workload in (
        REFERENCE_WORKLOAD,
        Workload(
            name="cnn",
            title="CNN of 1-16-32-32 channels, 3x3, stride 2 once",
            net=CNNSpec(image=(1, 8, 8), channels=(16, 32, 32), strides=(1, 2, 1), classes=10),
            lanes=8,
        ),
        Workload(
            name="deep",
            title="MLP of depth 50 and width 32",
            net=MLPSpec(inputs=64, widths=(32,) * 50, classes=10),
            lanes=16,
        ),
        Workload(
            name="pre-residual",
            title="pre-residual net, two blocks of 16 channels",
            net=ResNetSpec(shape=(1, 8, 8), width=16, blocks=2, classes=10),
            lanes=8,
        ),
    )
}


def choose(names: Sequence[str]) -> list[Workload]:
    """Return the workloads of these names. Raises ``ValueError`` that lists the known ones."""
    for name in names:
        if name not in WORKLOADS:
            raise ValueError(f"workload {name!r} is not known; choose from {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in dict.fromkeys(names)]


def mlp(*, width: int = 64, depth: int = 2, batch_size: int = 32) -> Workload:
    """Return the reference workload with another width, depth or batch. Scaling is measured on these."""
    return Workload(
        name=f"mlp-{width}x{depth}-batch-{batch_size}",
        title=f"BatchNorm MLP of width {width} and depth {depth}, batch {batch_size}",
        net=MLPSpec(inputs=64, widths=(width,) * depth, classes=10),
        batch_size=batch_size,
    )
