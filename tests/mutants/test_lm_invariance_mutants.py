"""lm-invariance fails on language models whose norms are elsewhere, or are not what they should be."""

from collections.abc import Callable

import msgspec
import pytest
import torch
from torch import Tensor

from ilr_check.claims.exact.lm_invariance import LAW, RIVALS, Trained, check
from ilr_check.data import TextSpec
from ilr_check.nets import NormSpec, TransformerSpec
from ilr_check.nets.transformer_specs import Placement
from ilr_check.nets.transformers import Transformer
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.loop import Setting

NET = TransformerSpec(context=5, width=12, blocks=2, heads=4, kv_heads=2, head_dim=4, mlp_width=10, eps=1e-3)


def trained(placement: Placement, **changes) -> Trained:
    net = msgspec.structs.replace(NET, placement=placement, **changes)
    setting = Setting(
        net=net,
        data=TextSpec(context=5, limit=2**12, held_out=2**6),
        hyper=HyperParams(lr=3e-3, weight_decay=0.1, batch_size=3, steps=2),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
    )
    return Trained(setting=setting, power=2)


PLACEMENTS: tuple[Placement, ...] = ("pre", "qk", "post", "sandwich")


@pytest.mark.parametrize("eps", [0.0, 1e-3])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_it_holds_on_the_four_architectures(placement: Placement, eps: float) -> None:
    outcome = check(trained(placement, eps=eps))
    assert outcome.steps == 2
    assert outcome.ratio < 1e-2
    assert set(RIVALS) <= set(outcome.rivals)
    assert min(outcome.rivals.values()) > 1e3


def beside_the_root(x: Tensor, spec: NormSpec, eps: Tensor | None = None, *_: object) -> Tensor:
    sets = x.reshape(x.shape[0], spec.groups, -1)
    given = spec.eps if eps is None else eps
    return (sets / (sets.square().mean(-1, keepdim=True).sqrt() + given)).reshape(x.shape)


def clamped(x: Tensor, spec: NormSpec, eps: Tensor | None = None, *_: object) -> Tensor:
    sets = x.reshape(x.shape[0], spec.groups, -1)
    given = torch.as_tensor(spec.eps if eps is None else eps, dtype=x.dtype)
    return (sets / sets.square().mean(-1, keepdim=True).maximum(given).sqrt()).reshape(x.shape)


def half_a_backward_pass(x: Tensor, spec: NormSpec, eps: Tensor | None = None, *_: object) -> Tensor:
    sets = x.reshape(x.shape[0], spec.groups, -1)
    mean = sets.square().mean(-1, keepdim=True)
    given = spec.eps if eps is None else eps
    return (sets / (0.5 * (mean + mean.detach()) + given).sqrt()).reshape(x.shape)


NORMS: dict[str, Callable[..., Tensor]] = {
    "eps beside the root": beside_the_root,
    "a part of the backward pass is missing": half_a_backward_pass,
}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("mutation", NORMS)
def test_a_norm_of_another_form_is_found(
    monkeypatch: pytest.MonkeyPatch, mutation: str, placement: Placement
) -> None:
    monkeypatch.setattr("ilr_check.nets.norms.normalise", NORMS[mutation])
    assert check(trained(placement)).ratio > 100


def test_it_is_blind_to_a_clamp_as_it_says_because_a_clamp_has_the_same_symmetry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ilr_check.nets.norms.normalise", clamped)
    assert check(trained("post", eps=0.3)).ratio < 1
    assert "clamped" in LAW.text.blind


@pytest.mark.parametrize(
    ("placement", "place"),
    [
        ("qk", "q_norm"),
        ("qk", "k_norm"),
        ("qk", "before_mlp"),
        ("pre", "before_attention"),
        ("post", "after_attention"),
        ("post", "after_mlp"),
        ("sandwich", "after_mlp"),
        ("sandwich", "k_norm"),
    ],
)
def test_a_missing_norm_is_found(monkeypatch: pytest.MonkeyPatch, placement: Placement, place: str) -> None:
    normed = Transformer.normed

    def without(self: Transformer, at: str, block: int, x: Tensor) -> Tensor:
        y = normed(self, at, block, x)
        return x if at == place and block == 0 else y

    monkeypatch.setattr(Transformer, "normed", without)
    assert check(trained(placement)).ratio > 100


def test_a_head_that_is_tied_by_mistake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Transformer.forward

    def tied(self: Transformer, tokens: Tensor) -> Tensor:
        own, self.spec = self.spec, msgspec.structs.replace(self.spec, tied=True)
        try:
            return forward(self, tokens)
        finally:
            self.spec = own

    monkeypatch.setattr(Transformer, "forward", tied)
    assert check(trained("pre")).ratio > 100
