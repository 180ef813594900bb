"""A fleet's run i is a plain PyTorch loop with torch.optim on net i, compared at every step.

Which comparisons are bitwise is found out, not assumed. In float64 eager mode MLPs and CNNs without biases,
with any norm, step to the same bits as torch.optim. Others stay within a bound: torch adds a bias inside
the matrix product and vmap behind it, and a residual net's branches add up in another order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from fleet_steps import Seen, eager_fleet, torch_step, watched

from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec, ResNetSpec
from ilr_check.train.fleet import BLOCK, Fleet, Runs

STEPS = BLOCK + 8
"""Beyond one block of batches, so that the seam is compared, too."""
FEWER_STEPS = 10
"""For the other optimizers: nothing of theirs is new later."""

PLAIN: dict[str, NetSpec] = {
    "mlp-batch": MLPSpec(inputs=10, widths=(12, 8), classes=4),
    "mlp-layer": MLPSpec(inputs=10, widths=(12, 8), classes=4, norm=NormSpec(kind="layer")),
    "mlp-group": MLPSpec(inputs=10, widths=(12, 8), classes=4, norm=NormSpec(kind="group", groups=2)),
    "mlp-rms": MLPSpec(inputs=10, widths=(12, 8), classes=4, norm=NormSpec(kind="rms")),
    "cnn-batch": CNNSpec(image=(1, 5, 5), channels=(4, 4), classes=3),
    "cnn-instance-tanh": CNNSpec(
        image=(2, 4, 4), channels=(4,), classes=3, norm=NormSpec(kind="instance"), activation="tanh"
    ),
}
OTHERS: dict[str, NetSpec] = {
    "bias": MLPSpec(inputs=10, widths=(12, 8), classes=4, bias=True),
    "pre": ResNetSpec(shape=(6,), width=8, blocks=1, classes=3, norm=NormSpec(kind="layer")),
    "affine": MLPSpec(inputs=10, widths=(12, 8), classes=4, norm=NormSpec(kind="batch", affine=True)),
    "weight-norm": MLPSpec(inputs=10, widths=(12, 8), classes=4, norm=NormSpec(kind="weight_norm")),
    "weight-standard": CNNSpec(
        image=(1, 4, 4), channels=(4,), classes=3, norm=NormSpec(kind="weight_standard")
    ),
    "post": ResNetSpec(shape=(6,), width=8, blocks=1, classes=3, residual="post"),
}
NETS = PLAIN | OTHERS


@dataclass(frozen=True)
class Family:
    """A rule of ours, torch's optimizer, and what both are given."""

    optimizer: Callable[..., torch.optim.Optimizer]
    options: dict[str, Any] = field(default_factory=dict)
    """In torch's words."""
    momentum: float = 0.0
    dampening: float = 0.0
    hyper: dict[str, float] = field(default_factory=dict)


ADAM = {"betas": (0.8, 0.95), "eps": 1e-4}, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4}
FAMILIES = {
    "sgd": Family(torch.optim.SGD),
    "heavy-ball": Family(torch.optim.SGD, {"momentum": 0.9, "dampening": 0.2}, 0.9, 0.2),
    "nesterov": Family(torch.optim.SGD, {"momentum": 0.8, "nesterov": True}, 0.8),
    "adamw": Family(torch.optim.AdamW, ADAM[0], hyper=ADAM[1]),
    "adam": Family(torch.optim.Adam),
    "rmsprop": Family(torch.optim.RMSprop, {"alpha": 0.9}, hyper={"alpha": 0.9}),
    "rmsprop-momentum": Family(torch.optim.RMSprop, {"momentum": 0.7}, 0.7),
    "nadam": Family(torch.optim.NAdam),
    "nadamw": Family(
        torch.optim.NAdam,
        {"decoupled_weight_decay": True, "momentum_decay": 0.0},
        hyper={"momentum_decay": 0.0},
    ),
    "muon": Family(torch.optim.Muon, {"momentum": 0.9}, 0.9),
}
WITH_SGD = [(net, "sgd") for net in NETS]
WITH_OTHERS = [(net, family) for net in ("mlp-batch", "pre") for family in FAMILIES if family != "sgd"]
CASES = WITH_SGD + WITH_OTHERS
# Muon rounds to bfloat16: a gradient off by one bit of float64 may move an entry by 2^-9, and the iteration
# multiplies that by up to 3.4445^5. So it is compared where the gradients agree to the last bit.
ROUNDED = [(net, family) for net, family in CASES if family != "muon"]
LRS = np.array([0.05, 0.1, 0.3])
DECAYS = np.array([0.0, 0.01, 0.2])
LANES = range(3)


@lru_cache
def trained(net: str, family: str, dtype: torch.dtype) -> tuple[Fleet, list[Seen]]:
    spec = NETS[net]
    data = TeacherStudentSpec(inputs=spec.inputs, classes=spec.classes, examples=64, label_noise=0.5)
    fleet = eager_fleet(spec, data, rule=family, dtype=dtype)
    runs = Runs(
        seeds=[1, 2, 3],
        lr=LRS,
        weight_decay=DECAYS,
        momentum=FAMILIES[family].momentum,
        dampening=FAMILIES[family].dampening,
        hyper=FAMILIES[family].hyper,
    )
    seen, _ = watched(fleet, runs, STEPS if family == "sgd" else FEWER_STEPS)
    return fleet, seen


@lru_cache
def deviations(net: str, family: str, dtype: torch.dtype) -> np.ndarray:
    """Largest difference from torch's step over the largest weight, [steps, runs]."""
    fleet, steps = trained(net, family, dtype)
    found = np.zeros((len(steps), len(LANES)))
    for t, seen in enumerate(steps):
        for lane in LANES:
            theirs = step_of_torch(fleet, seen, lane, family, t, dtype)
            found[t, lane] = max(
                float((theirs[name] - seen.after[name][lane]).abs().max() / w[lane].abs().max())
                for name, w in seen.weights.items()
            )
    return found


def step_of_torch(fleet: Fleet, seen: Seen, lane: int, family: str, t: int, dtype: torch.dtype) -> Any:
    theirs = FAMILIES[family]
    lr, decay = float(LRS[lane]), float(DECAYS[lane])

    def build(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return theirs.optimizer(parameters, lr=lr, weight_decay=decay, **theirs.options)

    state = {"step": torch.tensor(float(t)), "mu_product": mu_product(t, theirs)} if t else {}
    return torch_step(fleet, seen, lane, build, state=state, dtype=dtype)


def mu_product(steps: int, family: Family) -> torch.Tensor:
    """Return the number that NAdam keeps besides its tensors: the product of the momenta so far."""
    product, beta1 = torch.ones(()), family.options.get("betas", (0.9, 0.999))[0]
    for t in range(1, steps + 1):
        product *= beta1 * (1.0 - 0.5 * 0.96 ** (t * family.options.get("momentum_decay", 4e-3)))
    return product


@pytest.mark.usefixtures("_products_round_alike")
@pytest.mark.parametrize(("net", "family"), [c for c in CASES if c[0] in PLAIN])
def test_a_net_without_biases_steps_bitwise_as_torch_in_float64(net: str, family: str) -> None:
    assert not deviations(net, family, torch.float64).any()


@pytest.mark.parametrize(("net", "family"), ROUNDED)
def test_every_net_steps_within_a_bound_of_torch_in_float32(net: str, family: str) -> None:
    # The bound is derived by comparing precisions: the error of a float32 step is what torch's float32 step
    # differs by from torch's float64 step from the same state, taken at its largest over all steps and runs.
    # The fleet has other roundings of the same size. The factor 8 covers their random variation.
    fleet, steps = trained(net, family, torch.float32)
    error = max(
        float((exact[name] - coarse[name].double()).abs().max() / seen.weights[name][lane].abs().max())
        for t, seen in enumerate(steps)
        for lane in LANES
        for exact, coarse in [
            tuple(step_of_torch(fleet, seen, lane, family, t, d) for d in (torch.float64, torch.float32))
        ]
        for name in exact
    )
    assert 0 < error < 1e-5
    assert deviations(net, family, torch.float32).max() <= 8 * error


@pytest.mark.parametrize(("net", "family"), [c for c in ROUNDED if c[0] in OTHERS])
def test_other_nets_step_within_a_bound_of_torch_in_float64(net: str, family: str) -> None:
    # A step has the roundings of the float32 step, each 2^29 times smaller. The factor 64 covers random
    # variation.
    single = deviations(net, family, torch.float32).max()
    assert deviations(net, family, torch.float64).max() <= 64 * max(single, 2.0**-24) * 2.0**-29


def test_runs_of_the_comparison_move() -> None:
    _, steps = trained("mlp-batch", "sgd", torch.float64)
    before, after = steps[0].weights["layers.0.weight"], steps[-1].after["layers.0.weight"]
    assert (after - before)[:3].flatten(1).norm(dim=1).min() > 0.1
