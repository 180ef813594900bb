"""The scores of attention as lm-attention reads them, and what the norms of queries and keys do to them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ilr_check.claims.language_models.lm_attention import Q_AND_K, spread_and_entropy, with_own_attention
from ilr_check.nets import TransformerSpec, build
from ilr_check.nets.transformer_specs import Placement
from ilr_check.nets.transformers import attention_scores


def scores(placement: Placement, **factors: float) -> Tensor:
    spec = TransformerSpec(
        context=8, width=8, blocks=2, heads=2, kv_heads=1, mlp_width=8, placement=placement, eps=0.0
    )
    module = build(spec, dtype=torch.float64)
    weights = {name: w * factors.get(name.split(".")[0], 1.0) for name, w in module.state_dict().items()}
    tokens = torch.arange(24).reshape(3, 8) * 7 % 256
    return attention_scores(module, tokens, weights)


@pytest.mark.parametrize("placement", ["qk", "post", "sandwich"])
def test_with_qk_norm_the_norms_of_queries_and_keys_change_no_score(placement: Any) -> None:
    assert torch.equal(scores(placement), scores(placement, q=2.0, k=4.0))


def test_without_qk_norm_the_scores_of_the_first_block_have_the_product_of_both_factors() -> None:
    plain, scaled = (given[0] for given in (scores("pre"), scores("pre", q=2.0, k=4.0)))
    assert torch.equal(scaled, 8.0 * plain)
    assert plain.shape == (3, 2, 8, 8)


def test_the_spread_is_that_of_the_keys_that_a_query_sees() -> None:
    # Query 1 sees 0 and 2: deviation 1. Query 2 sees 0, 0 and 3: mean 1, mean square deviation 2.
    given = torch.tensor([[7.0, 99.0, 99.0], [0.0, 2.0, 99.0], [0.0, 0.0, 3.0]], dtype=torch.float64)
    spread, _ = spread_and_entropy(given[None])
    assert spread.item() == pytest.approx(0.5 * math.log((1.0 + 2.0) / 2.0))
    shifted, _ = spread_and_entropy(given[None] + torch.tensor([[1.0], [-5.0], [3.0]]))
    assert shifted.item() == pytest.approx(spread.item())


def test_equal_scores_have_the_largest_entropy_and_unlike_ones_none() -> None:
    equal = torch.zeros(1, 4, 4, dtype=torch.float64)
    assert spread_and_entropy(equal)[1].item() == pytest.approx(1.0)
    unlike = 1000.0 * torch.eye(4, dtype=torch.float64)[None]
    assert spread_and_entropy(unlike)[1].item() == pytest.approx(0.0, abs=1e-9)


def test_queries_and_keys_alone_have_the_other_settings() -> None:
    rule = with_own_attention("muon")
    parts = {name: rule.parts[rule.part_of(name)].name for name in ("q.0.weight", "k.1.weight", "v.0.weight")}
    assert parts == {"q.0.weight": "attention", "k.1.weight": "attention", "v.0.weight": "hidden"}
    assert Q_AND_K == ("q.*", "k.*")
    assert rule.parts[rule.part_of("q_norm.0.gain")].name == "gains"
