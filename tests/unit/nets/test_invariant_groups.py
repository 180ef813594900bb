"""Groups found by probing: our nets against their construction, and torch's own layers against the theory."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from ilr_check.nets import (
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    ResNetSpec,
    build,
    degenerate,
    invariant_groups,
    net_groups,
)
from ilr_check.nets.specs import NormKind
from ilr_check.strategies import net_specs


def rows(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def found(module: nn.Module, x: torch.Tensor) -> dict[tuple[str, ...], str]:
    return {group.names: group.kind for group in invariant_groups(module, [(x, None)])}


def seeded(module: nn.Module) -> nn.Module:
    """Give a torch module fixed weights without touching the global generator."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
    return module


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    return nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)


def test_batch_norm_kills_the_bias_and_frees_the_weight() -> None:
    spec = MLPSpec(inputs=5, widths=(6, 4), classes=3, bias=True)
    assert {g.names: g.kind for g in net_groups(spec)} == {
        ("layers.0.weight",): "exact",
        ("layers.0.bias",): "dead",
        ("layers.1.weight",): "exact",
        ("layers.1.bias",): "dead",
    }


def test_layer_norm_ties_weight_and_bias() -> None:
    spec = MLPSpec(inputs=5, widths=(6,), classes=3, bias=True, norm=NormSpec(kind="layer"))
    (group,) = net_groups(spec)
    assert (group.names, group.kind, group.exponents) == (
        ("layers.0.weight", "layers.0.bias"),
        "joint",
        (1, 1),
    )


def test_residual_writers_are_invariant_only_together() -> None:
    spec = ResNetSpec(shape=(5,), width=8, blocks=3, classes=3, residual="pre", norm=NormSpec(kind="layer"))
    blind = found(build(spec), rows(16, 5))
    assert blind.pop(("stem.weight", "outer.0.weight", "outer.1.weight", "outer.2.weight")) == "joint"
    assert set(blind.values()) == {"exact"}
    assert sorted(blind) == [(f"inner.{i}.weight",) for i in range(3)]


def test_a_hidden_gain_and_shift_are_invariant_only_together_and_the_last_are_not() -> None:
    spec = MLPSpec(inputs=5, widths=(6, 6), classes=3, norm=NormSpec(affine=True))
    every = {
        ("layers.0.weight",): "exact",
        ("layers.1.weight",): "exact",
        ("affines.0.gain", "affines.0.shift"): "joint",
    }
    assert {g.names: g.kind for g in net_groups(spec)} == every
    not_invariant = {(name,): "not invariant" for name in ("affines.1.gain", "affines.1.shift", "head")}
    assert found(build(spec, free=True), rows(16, 5)) == every | not_invariant


PLAIN = {"norm": NormSpec(affine=True), "activation": "identity", "classes": 3}


@pytest.mark.parametrize(
    ("spec", "kinds"),
    [
        pytest.param(MLPSpec(inputs=5, widths=(6, 6), **PLAIN), {"exact", "dead"}, id="MLP"),
        pytest.param(
            CNNSpec(image=(2, 3, 3), channels=(6, 6), kernel=1, **PLAIN), {"exact", "dead"}, id="1x1 CNN"
        ),
        pytest.param(
            CNNSpec(image=(2, 3, 3), channels=(6, 6), kernel=3, **PLAIN), {"joint"}, id="padded CNN"
        ),
        pytest.param(
            CNNSpec(image=(1, 1, 4), channels=(6, 6), kernel=3, strides=(2, 2), **PLAIN),
            {"exact", "dead"},
            id="padded CNN with one pixel as output",
        ),
        pytest.param(ResNetSpec(shape=(5,), width=6, blocks=1, **PLAIN), {"exact", "dead"}, id="residual"),
        pytest.param(
            MLPSpec(inputs=5, widths=(6, 6), **PLAIN | {"norm": NormSpec(kind="layer", affine=True)}),
            {"joint"},
            id="layer norm",
        ),
    ],
)
def test_a_shift_that_the_next_norm_subtracts_is_dead(spec: NetSpec, kinds: set[str]) -> None:
    groups = {g.names: g.kind for g in net_groups(spec)}
    assert {kind for names, kind in groups.items() if names[0].startswith("affines")} == kinds
    assert found(build(spec), rows(16, spec.inputs)) == groups


@pytest.mark.parametrize("kind", ["weight_norm", "weight_standard"])
def test_gain_and_bias_are_not_invariant_where_weights_are_normalised(kind: NormKind) -> None:
    norm = NormSpec(kind=kind, affine=True)
    spec = MLPSpec(inputs=5, widths=(6, 6), classes=3, norm=norm, bias=True, activation="tanh")
    exact = {("layers.0.weight",): "exact", ("layers.1.weight",): "exact"}
    assert {g.names: g.kind for g in net_groups(spec)} == exact
    others = {(f"layers.{i}.{leaf}",): "not invariant" for i in (0, 1) for leaf in ("gain", "bias")}
    assert found(build(spec, free=True), rows(16, 5)) == exact | others | {("head",): "not invariant"}


@pytest.mark.parametrize("qk_norm", [True, False])
def test_attention_as_constructed(qk_norm: bool) -> None:
    """O or V belongs to the group of the stem. With a norm of their own, Q and K are each a group of their
    own."""
    spec = AttentionSpec(shape=(3, 4), width=8, blocks=1, classes=3, heads=2, qk_norm=qk_norm)
    kind = "exact" if qk_norm else "not invariant"
    assert found(build(spec, free=True), rows(16, 12)) == {
        ("stem.weight", "o.0.weight"): "joint",
        ("stem.weight", "v.0.weight"): "joint",
        ("q.0.weight",): kind,
        ("k.0.weight",): kind,
        ("head",): "not invariant",
    }


@settings(max_examples=25, deadline=None)
@given(
    net_specs(max_depth=7, min_width=6, max_width=12)
    # smooth, so that no sample's features vanish: a norm would then divide by its eps alone
    | net_specs(max_depth=7, min_width=6, max_width=12, eps=(1e-6,), activations=("tanh", "gelu"))
)
def test_blind_search_finds_what_the_construction_proposes(spec: NetSpec) -> None:
    if degenerate(spec, 16) is not None or spec.inputs < 4:
        return  # all gradients are rounding there: nothing to search in, see net_groups
    x = torch.randn(16, spec.inputs, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert found(build(spec), x) == {g.names: g.kind for g in net_groups(spec)}


def test_eps_makes_a_class_of_its_own_whose_size_is_the_cosine() -> None:
    sizes = []
    for eps in (1e-8, 1e-6, 1e-4):
        (group,) = net_groups(MLPSpec(inputs=5, widths=(6,), classes=3, norm=NormSpec(eps=eps)))
        assert group.kind == "up to eps"
        sizes.append(group.size)
    ratios = [large / small for small, large in pairwise(sizes)]
    assert ratios == pytest.approx(
        [100, 100], rel=1e-2
    )  # proportional to eps, corrections of order eps / var


def test_torch_layers_in_training_and_evaluation() -> None:
    net = seeded(nn.Sequential(linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.ReLU(), linear(8, 3)))
    trained = found(net.train(), rows(16, 6))
    assert trained[("0.weight",)] == "up to eps"
    assert trained[("0.bias",)] == "dead"
    assert trained[("4.weight",)] == trained[("4.bias",)] == "not invariant"
    assert set(found(net.eval(), rows(16, 6)).values()) == {"not invariant"}


def test_module_and_global_random_state_stay_as_they_were() -> None:
    net = seeded(nn.Sequential(linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), linear(8, 3)))
    state, random = {n: v.clone() for n, v in net.state_dict().items()}, torch.get_rng_state()
    invariant_groups(net, lambda: rows(16, 6))
    assert all(torch.equal(v, state[n]) for n, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for p in net.parameters())


class SignWithStraightGradient(nn.Module):
    """Its output is bitwise invariant, its gradient is not orthogonal: invariance of values is not enough."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(rows(3, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ (self.weight.sign().detach() + self.weight - self.weight.detach()).T)


class Attention(nn.Module):
    """One head with a residual stream, with or without a norm of queries and keys."""

    def __init__(self, *, qk_norm: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (linear(8, 8, bias=False) for _ in range(4))
        self.qk_norm = qk_norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k = self.q(x), self.k(x)
        if self.qk_norm:
            q, k = (nn.functional.rms_norm(t, (8,), eps=1e-6) for t in (q, k))
        mixed = nn.functional.scaled_dot_product_attention(q, k, self.v(x))
        return nn.functional.rms_norm(x + self.o(mixed), (8,), eps=1e-6)


class TwoLayersOneNorm(nn.Module):
    """linear -> relu -> linear -> LayerNorm: overlapping joint groups."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = linear(6, 8), linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.layer_norm(self.b(self.a(x).relu()), (8,), eps=1e-6)


def test_straight_through_sign_is_not_invariant() -> None:
    assert found(SignWithStraightGradient(), rows(16, 6)) == {("weight",): "not invariant"}


@pytest.mark.parametrize(("qk_norm", "kind"), [(True, "up to eps"), (False, "not invariant")])
def test_queries_and_keys_need_their_own_norm(qk_norm: bool, kind: str) -> None:
    groups = found(seeded(Attention(qk_norm=qk_norm)), rows(4, 7, 8))
    assert groups[("q.weight",)] == groups[("k.weight",)] == kind
    assert groups[("v.weight",)] == groups[("o.weight",)] == "not invariant"


def test_joint_groups_may_overlap() -> None:
    assert found(seeded(TwoLayersOneNorm()), rows(16, 6)) == {
        ("a.weight", "a.bias", "b.bias"): "up to eps",
        ("b.weight", "b.bias"): "up to eps",
    }


def test_insensitive_is_not_invariant() -> None:
    """At a small scale every tensor changes the output by little when doubled; none is invariant."""

    class Faint(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(1e-6 * rows(3, 6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1 + torch.tanh(x @ self.weight.T)

    assert found(Faint(), rows(16, 6)) == {("weight",): "not invariant"}


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="no trainable parameter"):
        invariant_groups(nn.ReLU(), [rows(4, 6)])
    with pytest.raises(ValueError, match="batches is empty"):
        invariant_groups(seeded(linear(6, 3)), [])
    with pytest.raises(ValueError, match="not finite"):
        invariant_groups(seeded(linear(6, 3)), [rows(4, 6) * torch.inf])
