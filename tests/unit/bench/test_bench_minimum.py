"""The products and bytes that a step needs at least, against torch's own count and by hand."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ilr_check.bench.minimum import bytes_per_run, flops, products
from ilr_check.bench.paths import stock_net
from ilr_check.bench.workloads import WORKLOADS, Net, Workload, choose, mlp
from ilr_check.nets.build import build
from ilr_check.nets.specs import CNNSpec, MLPSpec, NormSpec, ResNetSpec

NETS: dict[str, Net] = {name: workload.net for name, workload in WORKLOADS.items()} | {
    "odd image": CNNSpec(image=(2, 7, 5), channels=(3, 4), strides=(3, 2), kernel=5, classes=3),
    "no strides": CNNSpec(image=(2, 4, 4), channels=(3, 4), classes=3),
    "flat residual": ResNetSpec(shape=(6,), width=5, blocks=2, classes=3),
    "post-residual": ResNetSpec(shape=(2, 4, 4), width=3, blocks=1, classes=3, residual="post"),
}


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_flops_are_those_that_torch_counts(net: Net) -> None:
    module = build(net, dtype=torch.float32)
    x = torch.randn(6, net.inputs, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        module(x).square().sum().backward()
    assert flops(Workload(name="x", title="x", net=net, batch_size=6)) == counter.get_total_flops()


def test_products_of_a_net_by_hand() -> None:
    net = MLPSpec(inputs=5, widths=(4, 3), classes=2)
    first = [(6, 5, 4, False), (5, 6, 4, False)]
    second = [(6, 4, 3, False), (4, 6, 3, False), (6, 3, 4, False)]
    head = [(6, 3, 2, True), (6, 2, 3, True)]
    found = products(Workload(name="x", title="x", net=net, batch_size=6))
    assert [tuple(product) for product in found] == first + second + head


def test_bytes_of_a_net_by_hand() -> None:
    workload = Workload(name="x", title="x", net=MLPSpec(inputs=5, widths=(4, 3), classes=2), batch_size=6)
    parameters, activations = 5 * 4 + 4 * 3, 6 * (5 + 4 + 3 + 2)
    assert bytes_per_run(workload) == 4 * (2 * parameters + activations)
    assert bytes_per_run(workload, state_tensors=2) == 4 * (4 * parameters + activations)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_loop_trains_the_net_of_the_fleet(name: str) -> None:
    """With eps next to 0, as ours: both compute the same function, in another order of operations."""
    ours = build(WORKLOADS[name].net, dtype=torch.float64)
    stock = stock_net(WORKLOADS[name]).double()
    for module in stock.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.eps = 1e-30
    x = torch.rand(32, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = {name: p.detach().double() for name, p in ours.named_parameters()}
    stock.load_state_dict(weights | {"head": ours.get_buffer("head")})
    # Each of up to 50 layers loses a few digits of the layer below: 2^-52 grows to some 1e-9 at the end.
    torch.testing.assert_close(stock(x), ours(x), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "field",
    [{"norm": NormSpec(kind="layer")}, {"bias": True}, {"shared": True}, {"activation": "tanh"}],
    ids=lambda field: next(iter(field)),
)
def test_a_net_that_not_every_path_can_train_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="support only BatchNorm without gains"):
        Workload(name="x", title="x", net=MLPSpec(inputs=5, widths=(4, 4), classes=2, **field))


def test_an_unknown_workload_is_named_beside_the_known() -> None:
    with pytest.raises(ValueError, match="'refrence' is not known; choose from reference, cnn, deep"):
        choose(["cnn", "refrence"])
    assert [workload.name for workload in choose(["cnn", "reference", "cnn"])] == ["cnn", "reference"]


def test_variants_of_the_reference_differ_in_one_thing() -> None:
    assert mlp().net == WORKLOADS["reference"].net
    assert mlp(width=8, depth=3).net == MLPSpec(inputs=64, widths=(8, 8, 8), classes=10)
    assert mlp(batch_size=8).batch_size == 8
