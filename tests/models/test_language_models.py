"""Given the same weights, a language model computes what the class of ``transformers`` of its name computes.

That package computes norms, softmax and positions in float32 whatever the dtype of a model is. So that the
comparison is not limited to seven digits, its conversions to float32 are conversions to float64 here.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

import msgspec
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ilr_check.nets import TransformerSpec, build
from ilr_check.nets.transformer_specs import Placement

os.environ["HF_HUB_OFFLINE"] = "1"
if find_spec("transformers") is None:
    pytest.skip("needs the extra ilr-check[test]", allow_module_level=True)

CLASSES: dict[Placement, str] = {"pre": "Llama", "qk": "Qwen3", "post": "Olmo2", "sandwich": "Gemma3"}

SPECS = {
    "shared keys, and heads as wide as they like": TransformerSpec(
        context=11,
        width=24,
        blocks=2,
        heads=4,
        kv_heads=2,
        head_dim=10,
        mlp_width=20,
        vocabulary=17,
        eps=1e-2,
        rope_theta=100.0,
    ),
    "one pair of keys and values for all heads": TransformerSpec(
        context=7, width=18, blocks=1, heads=3, kv_heads=1, mlp_width=30, vocabulary=9, eps=1e-6
    ),
    "tied, and as many keys as queries": TransformerSpec(
        context=16, width=32, blocks=3, heads=2, mlp_width=40, vocabulary=13, tied=True, eps=1e-4
    ),
}
"""By what is special about them. With a large eps, one in the wrong place shows."""

ULPS = 300
"""The largest allowed difference of a logit, in units of the spacing of float64 at the largest logit.

Both sides round a few times for each of the about 30 operations between a token and its logits, in other
orders. The largest difference found is 20 to 60. A changed architecture differs by 10^12.
"""


class Wider(TorchFunctionMode):
    """Everything that is asked for in float32 is computed in float64."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        def wide(value: Any) -> Any:
            return torch.float64 if value is torch.float32 else value

        func = Tensor.double if func is Tensor.float else func
        return func(*map(wide, args), **{name: wide(value) for name, value in (kwargs or {}).items()})


@contextmanager
def wide() -> Iterator[None]:
    """Compute in float64 only, inside the block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with Wider(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(before)


def theirs(spec: TransformerSpec) -> nn.Module:
    """Return the model of the package with the shape of a spec."""
    transformers, name = import_module("transformers"), CLASSES[spec.placement]
    own: dict[str, Any] = {}
    if name == "Gemma3":
        own = {
            "query_pre_attn_scalar": spec.features,
            "layer_types": ["full_attention"] * spec.blocks,
            "rope_parameters": {
                kind: {"rope_type": "default", "rope_theta": spec.rope_theta}
                for kind in ("full_attention", "sliding_attention")
            },
        }
        name_of_config, name_of_model = "Gemma3TextConfig", "Gemma3ForCausalLM"
    else:
        own = {"rope_parameters": {"rope_type": "default", "rope_theta": spec.rope_theta}}
        name_of_config, name_of_model = f"{name}Config", f"{name}ForCausalLM"
    config = getattr(transformers, name_of_config)(
        vocab_size=spec.vocabulary,
        hidden_size=spec.width,
        intermediate_size=spec.mlp_width,
        num_hidden_layers=spec.blocks,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.groups,
        head_dim=spec.features,
        max_position_embeddings=64,
        rms_norm_eps=spec.eps,
        tie_word_embeddings=spec.tied,
        attn_implementation="eager",
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        **own,
    )
    model: nn.Module = getattr(transformers, name_of_model)(config).double()
    return model


BEHIND = {"after_attention": "post_attention_layernorm", "after_mlp": "post_feedforward_layernorm"}
NORMS: dict[Placement, dict[str, str]] = {
    "pre": {"before_attention": "input_layernorm", "before_mlp": "post_attention_layernorm"},
    "qk": {"before_attention": "input_layernorm", "before_mlp": "post_attention_layernorm"},
    "post": BEHIND,
    "sandwich": {"before_attention": "input_layernorm", "before_mlp": "pre_feedforward_layernorm", **BEHIND},
}
"""What the package calls the norms of a block."""


def name_there(name: str, placement: Placement) -> str:
    """Return what the package calls a tensor."""
    part, *number, _ = name.split(".")
    if not number:
        whole = {"embedding": "model.embed_tokens", "last": "model.norm", "head": "lm_head"}
        return f"{whole[part]}.weight"
    if part in NORMS[placement]:
        own = NORMS[placement][part]
    elif part in ("q_norm", "k_norm"):
        own = f"self_attn.{part}"
    else:
        own = f"{'self_attn' if part in 'qkvo' else 'mlp'}.{part}_proj"
    return f"model.layers.{number[0]}.{own}.weight"


def numbers(spec: TransformerSpec) -> dict[str, Tensor]:
    """Return random tensors, gains too, so that a gain in the wrong place shows."""
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.randn(p.shape, generator=generator, dtype=torch.float64) * p.shape[-1] ** -0.5
        if p.dim() > 1
        else 1.0 + 0.5 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
        for name, p in build(spec).named_parameters()
    }


def difference(spec: TransformerSpec, reference: nn.Module | None = None) -> float:
    """Return the largest difference of a logit from the package's, in units of the last place."""
    weights = numbers(spec)
    ours = build(spec)
    ours.load_state_dict(weights)
    tokens = torch.randint(spec.vocabulary, (3, spec.context), generator=torch.Generator().manual_seed(6))
    with wide(), torch.no_grad():
        model = reference or theirs(spec)
        there = {name_there(name, spec.placement): value for name, value in weights.items()}
        missing, unexpected = model.load_state_dict(there, strict=False)
        assert not unexpected
        assert set(missing) <= ({"lm_head.weight"} if spec.tied else set())
        expected = model(input_ids=tokens, use_cache=False).logits
    found = ours(tokens)
    assert expected.dtype == found.dtype == torch.float64
    return float((found - expected).abs().max() / expected.abs().max()) / torch.finfo(torch.float64).eps


@pytest.mark.parametrize("placement", get_args(Placement))
@pytest.mark.parametrize("shape", SPECS)
def test_the_logits_are_those_of_the_published_architecture(placement: Placement, shape: str) -> None:
    spec = SPECS[shape]
    if placement == "post" and spec.head_dim:
        spec = msgspec.structs.replace(spec, head_dim=0)  # OLMo-2 has no choice of it
    assert difference(msgspec.structs.replace(spec, placement=placement)) < ULPS


if __name__ == "__main__":
    for shape, spec in SPECS.items():
        for placement in get_args(Placement):
            s = msgspec.structs.replace(
                spec, placement=placement, head_dim=0 if placement == "post" else spec.head_dim
            )
            print(shape, placement, difference(s))
