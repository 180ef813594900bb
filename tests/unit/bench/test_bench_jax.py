"""The JAX nets are the nets of the loop."""

import numpy as np
import pytest
import torch

from ilr_check.bench.jax_path import forward
from ilr_check.bench.paths import stock_net
from ilr_check.bench.workloads import WORKLOADS, Workload
from ilr_check.nets.specs import ResNetSpec

jax = pytest.importorskip("jax", reason="jax is not installed; it is an extra that only bench can use")

LOADS = dict(WORKLOADS) | {
    "post-residual": Workload(
        name="post", title="post", net=ResNetSpec(shape=(64,), width=8, blocks=2, classes=3, residual="post")
    )
}


@pytest.mark.parametrize("name", LOADS)
def test_both_give_the_same_logits(name: str) -> None:
    net = stock_net(LOADS[name]).double()
    x = torch.rand(32, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = {key: p.detach().numpy() for key, p in net.named_parameters()}
    with torch.no_grad():
        expected = net(x).numpy()
    jax.config.update("jax_enable_x64", True)
    try:
        found = np.asarray(forward(LOADS[name].net, net.get_buffer("head").numpy())(weights, x.numpy()))
    finally:
        jax.config.update("jax_enable_x64", False)
    # In float64, because 50 layers of BatchNorm enlarge rounding some 1e6 times; another net would be 1 off.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
