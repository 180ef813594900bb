"""Modules: one function for each spec, the same start for every dtype, no global randomness."""

import pytest
import torch
from hypothesis import given, settings
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from ilr_check.nets import (
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    ResNetSpec,
    build,
    count_parameters,
    initial_parameters,
)
from ilr_check.strategies import net_specs

SPECS = {
    "mlp": MLPSpec(inputs=5, widths=(8, 6), classes=3, norm=NormSpec(kind="layer"), activation="gelu"),
    "cnn": CNNSpec(image=(2, 4, 4), channels=(4, 6), classes=3, strides=(2, 1)),
    "pre": ResNetSpec(shape=(5,), width=6, blocks=2, classes=3, norm=NormSpec(kind="group", groups=2)),
    "post": ResNetSpec(
        shape=(1, 3, 3), width=4, blocks=1, classes=3, residual="post", norm=NormSpec(kind="instance")
    ),
    "affine": MLPSpec(inputs=5, widths=(6, 6, 6), classes=3, norm=NormSpec(affine=True), shared=True),
    "weight norm": CNNSpec(
        image=(2, 3, 3), channels=(4, 4), classes=3, norm=NormSpec(kind="weight_norm", affine=True), bias=True
    ),
    "attention": AttentionSpec(
        shape=(3, 4), width=6, blocks=2, classes=3, heads=2, norm=NormSpec(kind="rms"), shared=True
    ),
}


def rows(spec: NetSpec, number: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(number, spec.inputs, generator=generator, dtype=torch.float64)
    return x, torch.randint(spec.classes, (number,), generator=generator)


@settings(max_examples=50, deadline=None)
@given(net_specs())
def test_every_spec_builds_and_gives_finite_logits(spec: NetSpec) -> None:
    module = build(spec)
    logits = module(rows(spec)[0])
    assert logits.shape == (7, spec.classes)
    assert bool(logits.isfinite().all())
    assert count_parameters(spec) == sum(p.numel() for p in module.parameters())


def test_global_random_state_is_neither_read_nor_written() -> None:
    before = torch.get_rng_state()
    first = build(SPECS["cnn"])
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second = build(SPECS["cnn"])
    torch.set_rng_state(before)
    state, other = first.state_dict(), second.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_all_dtypes_start_from_the_same_numbers(spec: NetSpec) -> None:
    single, double = (initial_parameters(spec, 3, dtype=d) for d in (torch.float32, torch.float64))
    assert all(torch.equal(single[n], double[n].float()) for n in double)


def test_seeds_differ_and_the_head_shares_no_numbers_with_the_start() -> None:
    spec = MLPSpec(inputs=3, widths=(3,), classes=3, head_seed=4)
    start, other = initial_parameters(spec, 4), initial_parameters(spec, 5)
    assert not torch.equal(start["layers.0.weight"], other["layers.0.weight"])
    assert not torch.equal(start["layers.0.weight"], build(spec).get_buffer("head"))


def test_start_has_the_stated_spread() -> None:
    weight = initial_parameters(MLPSpec(inputs=400, widths=(500,), classes=2), 0, scale=3.0)[
        "layers.0.weight"
    ]
    # 2e5 draws: the relative error of the spread is 1 / sqrt(4e5) = 0.16 %; five of those
    assert float(weight.std()) == pytest.approx(3.0 / 20.0, rel=0.008)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_head_is_a_buffer_that_only_its_seed_decides(spec: NetSpec) -> None:
    import msgspec

    moved = build(msgspec.structs.replace(spec, head_seed=spec.head_seed + 1))
    module = build(spec)
    assert "head" not in dict(module.named_parameters())
    assert not torch.equal(module.get_buffer("head"), moved.get_buffer("head"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_whole_nets_are_bitwise_invariant_also_under_vmap(spec: NetSpec, dtype: torch.dtype) -> None:
    x, y = rows(spec)
    module = build(spec, dtype=dtype)

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return cross_entropy(functional_call(module, parameters, (x.to(dtype),)), y)

    starts = [initial_parameters(spec, seed, dtype=dtype) for seed in range(3)]
    stacked = {n: torch.stack([start[n] for start in starts]) for n in starts[0]}
    scaled = {n: 16 * p for n, p in stacked.items()}
    slopes, small = vmap(grad(loss))(stacked), vmap(grad(loss))(scaled)
    # The same place in the stack on both sides: batched products may sum in another order in another place.
    assert all(torch.equal(slopes[n], 16 * small[n]) for n in slopes)


NORM = NormSpec(kind="layer", affine=True)


@pytest.mark.parametrize(
    ("spec", "gains"),
    [
        (MLPSpec(inputs=5, widths=(4, 4, 4), classes=3, norm=NORM), {0, 1}),
        (MLPSpec(inputs=5, widths=(4, 4, 4), classes=3, norm=NORM, activation="tanh"), set()),
        (MLPSpec(inputs=5, widths=(4, 4, 4), classes=3, norm=NORM, bias=True), set()),
        (ResNetSpec(shape=(5,), width=4, blocks=2, classes=3, norm=NORM), {0, 2}),
        (ResNetSpec(shape=(5,), width=4, blocks=2, classes=3, norm=NORM, residual="post"), {1, 3}),
        (AttentionSpec(shape=(2, 3), width=4, blocks=2, classes=3, norm=NORM), set()),
    ],
    ids=["MLP", "not homogeneous", "bias behind", "pre", "post", "attention"],
)
def test_trained_gains_are_those_of_hidden_norms(spec: NetSpec, gains: set[int]) -> None:
    names = initial_parameters(spec, 0)
    assert {int(n.split(".")[1]) for n in names if n.startswith("affines")} == gains


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_free_net_is_the_same_function_with_nothing_frozen(spec: NetSpec) -> None:
    x, _ = rows(spec)
    frozen, free = build(spec), build(spec, free=True)
    assert torch.equal(frozen(x), free(x))
    assert {n for n, _ in free.named_parameters()} == set(frozen.state_dict()) - duplicates(free)
    assert not dict(free.named_buffers())


def duplicates(module: torch.nn.Module) -> set[str]:
    """Return the further names of a shared tensor."""
    first = {name for name, _ in module.named_parameters()}
    return {name for name, _ in module.named_parameters(remove_duplicate=False)} - first


def test_shared_layers_are_one_tensor() -> None:
    spec = MLPSpec(inputs=5, widths=(6, 6, 6, 6), classes=3, shared=True)
    module = build(spec)
    assert list(initial_parameters(spec, 0)) == ["layers.0.weight", "layers.1.weight"]
    assert module.layers[1] is module.layers[3]
    assert count_parameters(spec) == 5 * 6 + 36


def test_attention_agrees_with_torch() -> None:
    attend = build(SPECS["attention"]).attend
    q, k, v = torch.randn(3, 12, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = torch.nn.functional.scaled_dot_product_attention(*(attend.split(t) for t in (q, k, v)))
    torch.testing.assert_close(attend(q, k, v), attend.joined(theirs), rtol=1e-12, atol=1e-12)


def test_compiled_whole_and_without_breaks() -> None:
    pytest.importorskip("torch._dynamo")
    spec = SPECS["pre"]
    x, _ = rows(spec)
    module = build(spec)
    whole = torch.compile(module, backend="eager", fullgraph=True)  # the graph alone: no compiler needed
    torch.testing.assert_close(whole(x), module(x), rtol=1e-12, atol=1e-13)
