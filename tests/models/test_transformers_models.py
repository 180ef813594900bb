"""Models of another package, from tiny configs without download: the groups found agree with their code.

Probing uses neither names nor layers. The expectations come from the source of the models, which shows the
input of each norm.
"""

import importlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from ilr_check.nets import invariant_groups
from ilr_check.nets.groups import Group

os.environ["HF_HUB_OFFLINE"] = "1"
if find_spec("transformers") is None:
    pytest.skip("needs the extra ilr-check[test]", allow_module_level=True)


class Transformers:
    """The package, imported when a test builds a model: the import takes seconds."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("transformers"), name)


transformers = Transformers()

TEXT = {
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 16,
    "attn_implementation": "eager",
}


def resnet() -> nn.Module:
    config = transformers.ResNetConfig(
        num_channels=2, embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic", num_labels=3
    )
    return transformers.ResNetForImageClassification(config)


def vit() -> nn.Module:
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        image_size=4,
        patch_size=2,
        num_channels=2,
        num_labels=3,
        attn_implementation="eager",
    )
    return transformers.ViTForImageClassification(config)


def gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=11,
        n_positions=16,
        n_embd=8,
        n_layer=1,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    return transformers.GPT2LMHeadModel(config)


def qwen3() -> nn.Module:
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**TEXT))


def olmo2() -> nn.Module:
    return transformers.Olmo2ForCausalLM(transformers.Olmo2Config(**TEXT))


def groups_of(
    make: Callable[[], nn.Module], batch: Any, dtype: torch.dtype = torch.float64
) -> tuple[Group, ...]:
    """Probe the model in training mode in float64, with weights large enough to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make().train()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():  # std 0.02 would leave the outputs insensitive to everything
            if parameter.dim() > 1:
                parameter.copy_(
                    torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5
                )
    return invariant_groups(module, [batch], dtype=dtype)


def images() -> torch.Tensor:
    return torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(2))


def tokens() -> dict[str, Any]:
    ids = torch.randint(11, (3, 6), generator=torch.Generator().manual_seed(2))
    return {"input_ids": ids, "use_cache": False}


def alone(groups: tuple[Group, ...], *kinds: str) -> set[str]:
    return {g.names[0] for g in groups if len(g.names) == 1 and g.kind in kinds}


def together(groups: tuple[Group, ...]) -> list[set[str]]:
    return [set(g.names) for g in groups if len(g.names) > 1]


def test_resnet_convolutions_are_invariant_up_to_the_eps_of_batch_norm() -> None:
    groups = groups_of(resnet, images())
    block = "resnet.encoder.stages.0.layers.0.layer"
    assert alone(groups, "up to eps") == {
        "resnet.embedder.embedder.convolution.weight",
        f"{block}.0.convolution.weight",
        f"{block}.1.convolution.weight",
    }
    # The only gain and shift between an activation that is homogeneous and another convolution with its norm.
    assert together(groups) == [{f"{block}.0.normalization.weight", f"{block}.0.normalization.bias"}]
    assert max(g.size for g in groups if g.kind == "up to eps") < 1e-2


def test_vit_has_no_invariant_tensor_but_its_residual_stream_as_a_whole() -> None:
    groups = groups_of(vit, images())
    assert alone(groups, "exact", "up to eps", "joint") == set()
    layer = "vit.layers.0"
    stream = {
        *(f"vit.embeddings.{n}" for n in ("cls_token", "position_embeddings")),
        *(f"vit.embeddings.patch_embeddings.projection.{leaf}" for leaf in ("weight", "bias")),
        *(f"{layer}.{n}" for n in ("attention.o_proj.bias", "mlp.fc2.weight", "mlp.fc2.bias")),
    }
    v = {f"{layer}.attention.v_proj.weight", f"{layer}.attention.v_proj.bias"}
    found = together(groups)
    assert len(found) == 2
    assert stream | v in found
    assert stream | {f"{layer}.attention.o_proj.weight"} in found


def test_gpt2_has_none() -> None:
    """Its embedding is tied to the head, so that not even the residual stream has a scale of its own."""
    assert {g.kind for g in groups_of(gpt2, tokens())} == {"not invariant"}


BOTH = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
"""The RMSNorm of these models computes in float32 whatever the dtype; the classes must not depend on it."""


@BOTH
def test_qwen3_queries_and_keys_are_invariant_up_to_the_eps_of_their_norm(dtype: torch.dtype) -> None:
    groups = groups_of(qwen3, tokens(), dtype)
    attention = "model.layers.0.self_attn"
    assert alone(groups, "exact", "up to eps") == {f"{attention}.q_proj.weight", f"{attention}.k_proj.weight"}
    # Jointly the residual stream: every other group scales the embedding that starts it.
    assert all("model.embed_tokens.weight" in names for names in together(groups))


@BOTH
def test_olmo2_normalises_behind_its_layers_too(dtype: torch.dtype) -> None:
    groups = groups_of(olmo2, tokens(), dtype)
    assert alone(groups, "exact", "up to eps") == {
        *(f"model.layers.0.self_attn.{letter}_proj.weight" for letter in "qkvo"),
        *(f"model.layers.0.mlp.{name}_proj.weight" for name in ("up", "down")),
    }
    assert together(groups) == []
