"""The least that one step of one run needs: its matrix products, and the numbers that it must hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ilr_check.bench.workloads import DTYPE_BYTES, Net, Workload
from ilr_check.nets.build import count_parameters, shrunk
from ilr_check.nets.specs import CNNSpec, MLPSpec


class Product(NamedTuple):
    """[rows, inner] times [inner, columns]. ``shared`` if all runs have the same right factor, the head."""

    rows: int
    inner: int
    columns: int
    shared: bool = False

    @property
    def flops(self) -> int:
        """The number of multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns


@dataclass(frozen=True)
class LayerShape:
    """A layer as a product: each of ``pixels`` outputs per example reads ``fan_in`` numbers."""

    fan_in: int
    outputs: int
    pixels: int


def layer_shapes(net: Net) -> list[LayerShape]:
    """Return the trainable layers in order. Convolutions are products of their patches (im2col)."""
    if isinstance(net, MLPSpec):
        sizes = (net.inputs, *net.widths)
        return [LayerShape(n, m, 1) for n, m in pairwise(sizes)]
    if isinstance(net, CNNSpec):
        sizes = (net.image[0], *net.channels)
        strides = net.strides or (1,) * len(net.channels)
        return [
            LayerShape(
                n * net.kernel**2, m, math.prod(shrunk(size, strides[: i + 1]) for size in net.image[1:])
            )
            for i, (n, m) in enumerate(pairwise(sizes))
        ]
    window = net.kernel**2 if len(net.shape) == 3 else 1
    pixels = math.prod(net.shape[1:])
    stem = LayerShape(net.shape[0] * window, net.width, pixels)
    return [stem, *[LayerShape(net.width * window, net.width, pixels)] * (2 * net.blocks)]


def products(workload: Workload) -> list[Product]:
    """Return the products of one step: outputs, weight gradients, and input gradients if there is a layer
    below.

    The head is not trained, so it has no weight gradient.
    """
    found = []
    shapes = layer_shapes(workload.net)
    for number, layer in enumerate(shapes):
        rows = workload.batch_size * layer.pixels
        found.append(Product(rows, layer.fan_in, layer.outputs))
        found.append(Product(layer.fan_in, rows, layer.outputs))
        if number:
            found.append(Product(rows, layer.outputs, layer.fan_in))
    features, classes = shapes[-1].outputs * shapes[-1].pixels, workload.net.classes
    found.append(Product(workload.batch_size, features, classes, shared=True))
    found.append(Product(workload.batch_size, classes, features, shared=True))
    return found


def flops(workload: Workload) -> int:
    """Return the floating-point operations of the products of one run-step."""
    return sum(product.flops for product in products(workload))


def bytes_per_run(workload: Workload, state_tensors: int = 0) -> int:
    """Return the bytes of parameters, gradients, optimizer state and the activations of one batch.

    The activations are the input, the output of each layer, and the logits.
    """
    parameters = count_parameters(workload.net) * (2 + state_tensors)
    activations = workload.net.inputs + workload.net.classes
    activations += sum(layer.outputs * layer.pixels for layer in layer_shapes(workload.net))
    return DTYPE_BYTES * (parameters + workload.batch_size * activations)
