"""scale-invariance and eps-law refute wrong norms and scalings. The same code refutes every rival."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from ilr_check.claims.exact import eps_law, invariance_by_norm, scale_invariance
from ilr_check.claims.exact.eps_law import WithEps
from ilr_check.claims.exact.scale_invariance import Scaled
from ilr_check.claims.exact_law import REFUTED, ExactLaw
from ilr_check.data import TeacherStudentSpec
from ilr_check.nets import norms
from ilr_check.nets.specs import AttentionSpec, MLPSpec, NetSpec, NormKind, NormSpec, ResNetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.train.loop import Setting

NETS: dict[str, NetSpec] = {
    "batch norm with biases": MLPSpec(inputs=8, widths=(6, 5), classes=4, bias=True),
    "gains": MLPSpec(inputs=8, widths=(6, 5), classes=4, norm=NormSpec(kind="rms", affine=True)),
    "pre-residual": ResNetSpec(shape=(8,), width=6, blocks=2, classes=4, norm=NormSpec(kind="layer")),
    "attention": AttentionSpec(shape=(2, 4), width=6, blocks=2, classes=4, heads=2),
    "weight norm, shared": MLPSpec(
        inputs=8, widths=(6, 6, 6), classes=4, norm=NormSpec(kind="weight_norm"), shared=True
    ),
}


def setting(net: NetSpec, eps: float = 0.0) -> Setting:
    return Setting(
        net=msgspec.structs.replace(net, norm=msgspec.structs.replace(net.norm, eps=eps)),
        data=TeacherStudentSpec(inputs=net.inputs, classes=net.classes),
        hyper=HyperParams(lr=0.3, weight_decay=0.04, batch_size=16, steps=4),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
    )


def invariance(net: NetSpec) -> float:
    return scale_invariance.check(Scaled(setting=setting(net), powers=(1, -3), factors=(1.7, 0.3))).ratio


def with_eps(net: NetSpec) -> float:
    return eps_law.check(WithEps(setting=setting(net, eps=1e-2), power=2)).ratio


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
@pytest.mark.parametrize("ratio", [invariance, with_eps])
def test_a_right_net_passes(ratio: Callable[[NetSpec], float], net: NetSpec) -> None:
    assert ratio(net) <= 1.0


@pytest.mark.parametrize("law", [scale_invariance.LAW, eps_law.LAW], ids=["scale-invariance", "eps-law"])
@pytest.mark.parametrize("number", [0, 1])
def test_every_rival_is_excluded_on_real_data(law: ExactLaw[Any], number: int) -> None:
    _, example = law.real("quick")[number]
    hyper = msgspec.structs.replace(example.setting.hyper, steps=2)
    short = msgspec.structs.replace(example, setting=msgspec.structs.replace(example.setting, hyper=hyper))
    outcome = law.check(short)
    assert outcome.ratio <= 1.0
    assert set(outcome.rivals) == set(law.text.rivals)
    assert min(outcome.rivals.values()) >= REFUTED


def eps_outside_the_root(
    x: Tensor, spec: NormSpec, eps: Tensor | None = None, rows: int | None = None
) -> Tensor:
    """(x - mean) / (sqrt(var) + eps), which some implementations compute."""
    sets, dims = norms.as_sets(x, spec)
    centred = sets - sets.mean(dims, keepdim=True) if spec.centred else sets
    sigma = centred.square().mean(dims, keepdim=True).sqrt()
    return (centred / (sigma + (spec.eps if eps is None else eps))).reshape(x.shape)


def clamped(x: Tensor, spec: NormSpec, eps: Tensor | None = None, rows: int | None = None) -> Tensor:
    """The root of the larger of variance and eps."""
    sets, dims = norms.as_sets(x, spec)
    centred = sets - sets.mean(dims, keepdim=True) if spec.centred else sets
    var = centred.square().mean(dims, keepdim=True)
    floor = torch.as_tensor(10.0 if eps is None else 1000.0 * eps, dtype=x.dtype)
    return (centred / torch.maximum(var, floor.detach()).sqrt()).reshape(x.shape)


@pytest.mark.parametrize("wrong", [eps_outside_the_root, clamped])
def test_eps_law_kills_another_eps(monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., Tensor]) -> None:
    monkeypatch.setattr(norms, "normalise", wrong)
    assert with_eps(NETS["gains"]) > 1.0


@pytest.mark.parametrize("name", NETS)
def test_scale_invariance_kills_an_eps(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    right = norms.normalise

    def with_small_eps(
        x: Tensor, spec: NormSpec, eps: Tensor | None = None, rows: int | None = None
    ) -> Tensor:
        return right(x, msgspec.structs.replace(spec, eps=1e-9))

    monkeypatch.setattr(norms, "normalise", with_small_eps)
    assert invariance(NETS[name]) > 1.0


TABLE = invariance_by_norm.LAW.real("quick")[0][1]


def test_every_cell_of_the_table_on_real_data() -> None:
    outcome = invariance_by_norm.check(TABLE)
    assert outcome.ratio <= 1.0
    assert set(outcome.rivals) == set(invariance_by_norm.TEXT.rivals)
    assert min(outcome.rivals.values()) >= REFUTED


def over_the_wrong_sets(kind: str, other: NormKind) -> Callable[..., Tensor]:
    right = norms.normalise

    def wrong(x: Tensor, spec: NormSpec, eps: Tensor | None = None, rows: int | None = None) -> Tensor:
        return right(x, NormSpec(kind=other) if spec.kind == kind else spec)

    return wrong


@pytest.mark.parametrize(
    ("kind", "other"), [("group", "layer"), ("instance", "layer"), ("batch", "rms"), ("weight_norm", "batch")]
)
def test_the_table_kills_a_norm_over_other_sets(
    monkeypatch: pytest.MonkeyPatch, kind: str, other: NormKind
) -> None:
    monkeypatch.setattr(norms, "normalise", over_the_wrong_sets(kind, other))
    assert invariance_by_norm.check(TABLE).ratio > 1.0
