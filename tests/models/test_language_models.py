"""Given the same weights, a language model computes what the class of ``transformers`` of its name computes.

That package computes norms, softmax and positions in float32 whatever the dtype of a model is. So that the
comparison is not limited to seven digits, its conversions to float32 are conversions to float64 here.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

import msgspec
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ilr_check.nets import NormSpec, TransformerSpec, build
from ilr_check.nets.transformer_specs import Placement
from ilr_check.nets.transformers import Transformer

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
orders. The largest difference found is 22. A changed architecture differs by more than 10^8.
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


@lru_cache
def expected(spec: TransformerSpec) -> Tensor:
    """Return the logits of the package's model."""
    with wide(), torch.no_grad():
        model = theirs(spec)
        there = {name_there(name, spec.placement): value for name, value in numbers(spec).items()}
        missing, unexpected = model.load_state_dict(there, strict=False)
        assert not unexpected
        assert set(missing) <= ({"lm_head.weight"} if spec.tied else set())
        logits: Tensor = model(input_ids=tokens(spec), use_cache=False).logits
    assert logits.dtype == torch.float64
    return logits


def tokens(spec: TransformerSpec) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    return torch.randint(spec.vocabulary, (3, spec.context), generator=generator)


def difference(spec: TransformerSpec) -> float:
    """Return the largest difference of a logit from the package's, in units of the last place."""
    ours = build(spec)
    ours.load_state_dict(numbers(spec))
    with torch.no_grad():
        found = ours(tokens(spec))
    largest = float((found - expected(spec)).abs().max() / expected(spec).abs().max())
    return largest / torch.finfo(torch.float64).eps


@pytest.mark.parametrize("placement", get_args(Placement))
@pytest.mark.parametrize("shape", SPECS)
def test_the_logits_are_those_of_the_published_architecture(placement: Placement, shape: str) -> None:
    assert difference(spec_of(shape, placement)) < ULPS


def spec_of(shape: str, placement: Placement) -> TransformerSpec:
    # OLMo-2 has no choice of the features of a head.
    own = {"head_dim": 0} if placement == "post" else {}
    return msgspec.structs.replace(SPECS[shape], placement=placement, **own)


def neighbours(self: Transformer, x: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1), as GPT-J does."""
    cos, sin = self.cos[: x.shape[1]], self.sin[: x.shape[1]]
    first, second = x[..., ::2], x[..., 1::2]
    return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2)


def of_queries(self: Transformer, x: Tensor) -> Tensor:
    """Leave the keys as they are. Turning both in the other direction would change nothing that is seen."""
    return x if x.shape[2] < self.spec.heads else TURNED(self, x)


def spread(self: Transformer, q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
    """Let query i use the keys i modulo their number."""
    spec = self.spec
    order = torch.arange(spec.heads).reshape(-1, spec.groups).T.flatten()
    inverse = order.argsort()

    def reordered(x: Tensor, by: Tensor) -> Tensor:
        return x.reshape(x.shape[0], spec.heads, -1)[:, by].reshape(x.shape)

    return reordered(ATTEND(self, reordered(q, order), k, v, length), inverse)


def shifted(self: Transformer, q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
    """Let each token attend to one token of its future."""
    before = self.future
    self.future = before.roll(1, dims=1)
    try:
        return ATTEND(self, q, k, v, length)
    finally:
        self.future = before


def beside_the_root(x: Tensor, spec: NormSpec, *_: object) -> Tensor:
    """Divide by sqrt(var) + eps."""
    sets = x.reshape(x.shape[0], spec.groups, -1)
    return (sets / (sets.square().mean(-1, keepdim=True).sqrt() + spec.eps)).reshape(x.shape)


TURNED, ATTEND = Transformer.turned, Transformer.attend
MUTATIONS: dict[str, tuple[str, Any, tuple[Placement, ...]]] = {
    "rotary positions turn neighbours": ("Transformer.turned", neighbours, get_args(Placement)),
    "rotary positions for queries only": ("Transformer.turned", of_queries, get_args(Placement)),
    "keys shared in another order": ("Transformer.attend", spread, get_args(Placement)),
    "a look into the future": ("Transformer.attend", shifted, get_args(Placement)),
    "eps beside the root": ("norms.normalise", beside_the_root, get_args(Placement)),
    "SiLU for GELU": (
        "Transformer.activation",
        property(lambda self: torch.nn.functional.silu),
        ("sandwich",),
    ),
    "the exact GELU": (
        "Transformer.activation",
        property(lambda self: torch.nn.functional.gelu),
        ("sandwich",),
    ),
    "no norm of queries": ("PLACES", {"q_norm"}, ("qk", "post", "sandwich")),
    "no norm in front of the MLP": ("PLACES", {"before_mlp"}, ("pre", "qk", "sandwich")),
    "no norm behind attention": ("PLACES", {"after_attention"}, ("post", "sandwich")),
}


@pytest.mark.parametrize(
    ("mutation", "placement"),
    [(name, p) for name, (_, _, placements) in MUTATIONS.items() for p in placements],
)
def test_a_changed_architecture_is_found(
    monkeypatch: pytest.MonkeyPatch, mutation: str, placement: Placement
) -> None:
    place, change, _ = MUTATIONS[mutation]
    spec = spec_of("shared keys, and heads as wide as they like", placement)
    assert difference(spec) < ULPS
    if place == "PLACES":
        normed = Transformer.normed

        def without(self: Transformer, at: str, block: int, x: Tensor) -> Tensor:
            return x if at in change else normed(self, at, block, x)

        monkeypatch.setattr(Transformer, "normed", without)
    elif place == "norms.normalise":
        monkeypatch.setattr("ilr_check.nets.norms.normalise", change)
    else:
        monkeypatch.setattr(Transformer, place.removeprefix("Transformer."), change)
    assert difference(spec) > 1e6 * ULPS


@pytest.mark.parametrize("change", [{"rope_theta": 101.0}, {"eps": 1.001e-2}])
def test_a_setting_that_is_ignored_would_be_found(change: dict[str, float]) -> None:
    spec = spec_of("shared keys, and heads as wide as they like", "qk")
    other = build(msgspec.structs.replace(spec, **change))
    other.load_state_dict(numbers(spec))
    with torch.no_grad():
        moved = (other(tokens(spec)) - expected(spec)).abs().max() / expected(spec).abs().max()
    assert float(moved) > 1e6 * ULPS * torch.finfo(torch.float64).eps
