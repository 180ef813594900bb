"""Language models: probing finds the invariant groups that the construction gives, and specs are checked."""

from typing import get_args

import msgspec
import pytest
import torch

from ilr_check.nets import (
    TransformerSpec,
    build,
    count_parameters,
    hidden_matrices,
    initial_parameters,
    invariant_matrices,
    net_from_json,
    net_groups,
    stream_writers,
    to_json,
)
from ilr_check.nets.transformer_specs import Placement

SPEC = TransformerSpec(context=6, width=16, blocks=1, heads=4, mlp_width=20)


@pytest.mark.parametrize("eps", [0.0, 1e-6])
@pytest.mark.parametrize("placement", get_args(Placement))
def test_probing_finds_the_groups_of_the_construction(placement: Placement, eps: float) -> None:
    spec = msgspec.structs.replace(SPEC, placement=placement, eps=eps)
    groups = net_groups(spec)
    alone = {g.names[0] for g in groups if len(g.names) == 1 and g.invariant}
    assert alone == set(invariant_matrices(spec))
    assert {g.kind for g in groups if g.invariant} <= ({"up to eps"} if eps else {"exact", "joint"})
    together = [set(g.names) for g in groups if len(g.names) > 1 and g.invariant]
    if stream_writers(spec):
        assert set(stream_writers(spec)) in together
        assert all("embedding.weight" in names for names in together)
    else:
        assert together == []


@pytest.mark.parametrize("placement", ["pre", "qk"])
def test_a_tied_head_leaves_the_stream_no_scale_of_its_own(placement: Placement) -> None:
    spec = msgspec.structs.replace(SPEC, placement=placement, tied=True)
    groups = net_groups(spec)
    assert {g.names[0] for g in groups if g.invariant} == set(invariant_matrices(spec))
    assert stream_writers(spec) == ()


def test_the_matrices_of_the_blocks_are_neither_embedding_nor_head_nor_gains() -> None:
    shapes = {name: w.shape for name, w in initial_parameters(SPEC, 0).items()}
    rest = set(shapes) - set(hidden_matrices(SPEC))
    assert rest == {
        "embedding.weight",
        "head.weight",
        "last.gain",
        "before_attention.0.gain",
        "before_mlp.0.gain",
    }
    assert all(len(shapes[name]) == 2 for name in hidden_matrices(SPEC))
    assert count_parameters(SPEC) == sum(shape.numel() for shape in shapes.values())


@pytest.mark.parametrize("placement", get_args(Placement))
def test_the_initial_gains_change_nothing_and_a_model_is_built_without_the_global_generator(
    placement: Placement,
) -> None:
    before = torch.random.get_rng_state()
    spec = msgspec.structs.replace(SPEC, placement=placement)
    module = build(spec)
    assert torch.equal(torch.random.get_rng_state(), before)
    gain = initial_parameters(spec, 3)["last.gain"]
    assert torch.equal(gain, torch.full_like(gain, 0.0 if placement == "sandwich" else 1.0))
    tokens = torch.arange(6)[None]
    later = torch.cat([tokens[:, :5], tokens[:, 5:] + 7], dim=1)
    assert torch.equal(module(tokens)[:, :5], module(later)[:, :5])  # no token sees its future
    assert not torch.equal(module(tokens)[:, 5], module(later)[:, 5])


def test_a_spec_survives_json_and_keeps_its_text_if_it_gains_fields() -> None:
    assert net_from_json(to_json(SPEC)) == SPEC
    assert (
        to_json(SPEC) == '{"kind":"transformer","context":6,"width":16,"blocks":1,"heads":4,"mlp_width":20}'
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 3}, "heads=3 does not divide width=16"),
        ({"heads": 16}, "head_dim=1: must be even"),
        ({"kv_heads": 3}, "kv_heads=3 does not divide heads=4"),
        ({"kv_heads": 5}, "kv_heads=5"),
        ({"eps": -1.0}, "eps=-1.0"),
        ({"placement": "sub"}, "placement='sub'"),
        ({"rope_theta": 0.5}, "rope_theta=0.5"),
        ({"vocabulary": 1}, "vocabulary=1"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        msgspec.structs.replace(SPEC, **changes).__post_init__()
