"""Any optimizer in a fleet takes the steps that it takes in an ordinary loop over nets, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from fleet_steps import eager_fleet, plain_loop
from torch import Tensor, nn

from ilr_check.data import TeacherStudentSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec, NetSpec, NormSpec
from ilr_check.train.blackbox import BlackBox, Layout
from ilr_check.train.fleet import Fleet, Runs

STEPS = 40
LANES = 4
MLP = MLPSpec(inputs=10, widths=(12, 8), classes=3)
NETS: dict[str, NetSpec] = {
    "mlp": MLP,
    "layer": MLPSpec(inputs=10, widths=(12, 8), classes=3, norm=NormSpec(kind="layer")),
    "cnn": CNNSpec(image=(1, 4, 4), channels=(3, 4), classes=3),
}


class Written(torch.optim.Optimizer):
    """The optimizer of a user. A subclass defines one method."""

    def __init__(self, params: Any, lr: float = 0.1, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    def step(self, closure: Any = None) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                self.update(group)

    def update(self, group: dict[str, Any]) -> None:
        raise NotImplementedError


class Lars(Written):
    """A trust ratio of norms: each tensor is stepped as a whole."""

    def update(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            g = p.grad + group["weight_decay"] * p
            p.sub_(group["lr"] * p.norm() / g.norm() * g)


class ReplacesData(Written):
    """SGD that puts a new tensor in place of the parameter's."""

    def update(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            p.data = p.data - group["lr"] * (p.grad + group["weight_decay"] * p.data)


class ReplacesParameters(Written):
    """SGD that puts new parameters into its groups, of which the net knows nothing."""

    def update(self, group: dict[str, Any]) -> None:
        group["params"] = [nn.Parameter(p - group["lr"] * p.grad) for p in group["params"]]


class DropsGradients(Written):
    """SGD that deletes its gradients after it has used them."""

    def update(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            p.sub_(group["lr"] * (p.grad + group["weight_decay"] * p))
        self.zero_grad()


class WritesGradients(Written):
    """SGD that adds its decay into the gradient that it was given."""

    def update(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            p.grad.add_(p, alpha=group["weight_decay"])
            p.sub_(group["lr"] * p.grad)


class ClipsByTheNormOfAll(Written):
    """SGD with one norm over all the tensors it was given: several runs at once would be mixed."""

    def update(self, group: dict[str, Any]) -> None:
        norm = torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"]]).norm()
        for p in group["params"]:
            p.sub_(group["lr"] * (p.grad / norm.clamp(min=1.0) + group["weight_decay"] * p))


class Langevin(Written):
    """SGD with noise from torch's global stream."""

    def update(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            p.sub_(group["lr"] * (p.grad + group["weight_decay"] * p + torch.randn_like(p)))


class Flattens(Written):
    """SGD on one flat tensor, of which its parameters become parts."""

    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, **options)
        everything = self.param_groups[0]["params"]
        self.flat = torch.cat([p.data.flatten() for p in everything])
        parts = self.flat.split([p.numel() for p in everything])
        for p, part in zip(everything, parts, strict=True):
            p.data = part.view_as(p)

    def update(self, group: dict[str, Any]) -> None:
        g = torch.cat([p.grad.flatten() for p in group["params"]])
        self.flat.sub_(group["lr"] * (g + group["weight_decay"] * self.flat))


@dataclass(frozen=True)
class Case:
    """A factory, and the layouts that are exact where all runs have one setting and where they differ."""

    factory: Callable[..., torch.optim.Optimizer]
    alike: Layout = "stacked"
    different: Layout = "shared"


CASES = {
    "sgd": Case(partial(torch.optim.SGD, lr=0.1, momentum=0.9)),
    "sgd foreach": Case(partial(torch.optim.SGD, lr=0.1, momentum=0.9, foreach=True)),
    "adamw": Case(torch.optim.AdamW),
    "adamw fused": Case(partial(torch.optim.AdamW, fused=True)),
    "adagrad": Case(torch.optim.Adagrad),
    "muon": Case(torch.optim.Muon, alike="shared"),
    "lars": Case(Lars, alike="shared"),
    "replaces data": Case(ReplacesData),
    # It clears the gradients of all its groups except the first.
    "drops gradients": Case(DropsGradients, different="separate"),
    "writes gradients": Case(WritesGradients),
    "clips by the norm of all": Case(ClipsByTheNormOfAll, alike="separate", different="separate"),
}
CELLS = [("mlp", name) for name in CASES] + [
    (net, name) for net in ("layer", "cnn") for name in ("sgd", "lars")
]
LRS = np.array([0.02, 0.05, 0.01])[None, :] / np.arange(1, STEPS + 1)[:, None]
DECAYS = np.array([0.0, 0.01, 0.2])
SETTINGS: dict[str, Runs] = {
    "alike": Runs(seeds=[1, 2, 3], lr=LRS[:, :1], weight_decay=0.02),
    "different": Runs(seeds=[1, 2, 3], lr=LRS, weight_decay=DECAYS),
}


def boxed(factory: Callable[..., Any], net: NetSpec = MLP, **options: Any) -> Fleet:
    data = TeacherStudentSpec(inputs=net.inputs, classes=3, examples=64, label_noise=0.5)
    layout = options.pop("layout", None)
    return eager_fleet(net, data, rule=BlackBox(factory, layout=layout), lanes=LANES, **options)


def settings_of_run(runs: Runs, run: int) -> list[dict[str, float]]:
    shape = (STEPS, len(runs.seeds))
    lr, decay = (np.broadcast_to(np.asarray(v, float), shape)[:, run] for v in (runs.lr, runs.weight_decay))
    return [{"lr": float(a), "weight_decay": float(b)} for a, b in zip(lr, decay, strict=True)]


def same(a: dict[str, Tensor], i: int, b: dict[str, Tensor], j: int) -> bool:
    return all(torch.equal(a[name][i], b[name][j]) for name in a)


@pytest.mark.usefixtures("_products_round_alike")
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("net", "name"), CELLS)
def test_a_run_is_a_plain_loop_with_the_optimizer(net: str, name: str, settings: str) -> None:
    case, runs = CASES[name], SETTINGS[settings]
    fleet = boxed(case.factory, NETS[net])
    trace = fleet.train(runs, STEPS)
    loops = [plain_loop(fleet, s, case.factory, settings_of_run(runs, i)) for i, s in enumerate(runs.seeds)]
    ours = [{name: value[i] for name, value in trace.final.items()} for i in range(len(loops))]
    differ = [
        (i, n) for i, loop in enumerate(loops) for n in ours[i] if not torch.equal(ours[i][n], loop[-1][n])
    ]
    assert differ == []
    expected = case.alike if settings == "alike" else case.different
    assert {trial.layout for trial in fleet.trials.values()} == {expected}


@pytest.mark.parametrize("name", CASES)
def test_adding_runs_does_not_change_a_run(name: str) -> None:
    fleet = boxed(CASES[name].factory)
    alone = fleet.train(Runs(seeds=[5], lr=0.03, weight_decay=0.01), STEPS)
    lr = np.array([1.0, 0.1, 0.2, 0.03, 0.5, 0.03])
    beside = fleet.train(Runs(seeds=[1, 2, 3, 5, 4, 5], lr=lr, weight_decay=0.01), STEPS)
    assert same(beside.final, 3, alone.final, 0)
    assert same(beside.final, 5, alone.final, 0)


@pytest.mark.parametrize("name", ["sgd", "lars", "clips by the norm of all"])
def test_a_diverged_run_does_not_touch_its_neighbours_and_says_when(name: str) -> None:
    fleet = boxed(CASES[name].factory)
    decay = np.full((STEPS, 3), 0.01)
    alone = fleet.train(Runs(seeds=[5], lr=0.03, weight_decay=decay[:, :1]), STEPS)
    decay[7:, 1] = np.inf
    beside = fleet.train(Runs(seeds=[5, 6, 5], lr=0.03, weight_decay=decay), STEPS)
    assert same(beside.final, 0, alone.final, 0)
    assert same(beside.final, 2, alone.final, 0)
    assert beside.first_bad.tolist() == [-1, 7, -1]


def test_a_random_optimizer_has_a_stream_for_each_run_and_leaves_the_global_one_alone() -> None:
    fleet = boxed(Langevin)
    before = torch.random.get_rng_state()
    alone = fleet.train(Runs(seeds=[5], lr=0.03, weight_decay=0.01), STEPS)
    beside = fleet.train(Runs(seeds=[1, 5, 2, 3, 4, 5], lr=0.03, weight_decay=0.01), STEPS)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert fleet.trials[1].random
    assert same(beside.final, 1, alone.final, 0)
    assert same(beside.final, 5, alone.final, 0)
    assert not same(beside.final, 0, alone.final, 0)


def test_what_is_recorded_are_the_gradients_that_the_optimizer_was_given() -> None:
    runs = Runs(seeds=[1, 2], lr=0.05, weight_decay=0.5)
    ours, theirs = (boxed(f).train(runs, 5) for f in (partial(torch.optim.SGD, lr=0.1), WritesGradients))
    # Both are SGD with decay, and round in another order.
    assert theirs.grad2[0].tolist() == ours.grad2[0].tolist()
    assert np.allclose(theirs.grad2, ours.grad2, rtol=1e-9)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (torch.optim.LBFGS, "cannot step in a fleet: TypeError"),
        (Flattens, "cannot be used in a fleet: .*not those of an optimizer of one run alone"),
        (ReplacesParameters, "cannot step in a fleet: TypeError"),
        (torch.optim.Rprop, "has no 'weight_decay' in its param_groups"),
    ],
    ids=[
        "needs a closure",
        "keeps its parameters elsewhere",
        "steps parameters of its own",
        "has no weight decay",
    ],
)
def test_an_optimizer_that_a_fleet_cannot_use_is_refused_with_the_reason(factory: Any, reason: str) -> None:
    decay = 0.0 if "TypeError" in reason else 0.01
    with pytest.raises(ValueError, match=reason):
        boxed(factory).train(Runs(seeds=[1, 2], lr=0.1, weight_decay=decay), 3)


def test_a_missing_key_that_nobody_sets_is_no_matter() -> None:
    trace = boxed(torch.optim.Rprop).train(Runs(seeds=[1, 2], lr=0.1, weight_decay=0.0), 3)
    assert np.isfinite(trace.loss).all()


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_a_layout_can_be_asked_for(layout: Layout) -> None:
    fleet = boxed(CASES["adamw"].factory, layout=layout)
    asked = fleet.train(SETTINGS["different"], STEPS)
    found = boxed(CASES["adamw"].factory).train(SETTINGS["different"], STEPS)
    assert fleet.trials[3].layout == layout
    assert same(asked.final, 1, found.final, 1)


def test_a_layout_that_mixes_runs_is_refused_even_when_asked_for() -> None:
    with pytest.raises(
        ValueError, match="shared: the weights are not those of an optimizer of one run alone"
    ):
        boxed(ClipsByTheNormOfAll, layout="shared").train(SETTINGS["alike"], STEPS)


def test_an_unknown_layout_is_named() -> None:
    with pytest.raises(ValueError, match="layout='rows': must be one of stacked, shared, separate"):
        BlackBox(torch.optim.SGD, layout="rows")  # type: ignore[arg-type]
