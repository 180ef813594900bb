"""The staged pre-residual net of the paper: its size, its invariant groups, its rounding bounds."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from ilr_check.nets import (
    NormSpec,
    PreResNetSpec,
    build,
    count_parameters,
    degenerate,
    gradient_orthogonality_bound,
    initial_parameters,
    inner_product,
    invariant_groups,
    net_from_json,
    net_groups,
    orthogonality_scale,
    set_sizes,
    to_json,
)
from ilr_check.nets.evaluation import evaluation_bound

SMALL = PreResNetSpec(image=(2, 6, 6), widths=(4, 6), blocks=2, classes=3)
FULL = PreResNetSpec(image=(3, 32, 32), widths=(16, 32, 64), blocks=5, classes=10)

NORMS = {
    "batch": NormSpec(),
    "group": NormSpec(kind="group", groups=2),
    "layer": NormSpec(kind="layer"),
    "rms": NormSpec(kind="rms"),
}


def small(norm: NormSpec, eps: float = 0.0) -> PreResNetSpec:
    norm = NormSpec(kind=norm.kind, groups=norm.groups, eps=eps)
    return PreResNetSpec(image=(2, 6, 6), widths=(4, 6), blocks=2, classes=3, norm=norm)


def rows(spec: PreResNetSpec, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, spec.inputs, generator=generator, dtype=torch.float64)


def as_written_out(weights: dict[str, torch.Tensor], head: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``SMALL`` with torch's own layers, block by block, and a norm of its own on each skip."""
    conv = functional.conv2d

    def bn(h: torch.Tensor) -> torch.Tensor:
        # 1e-300 is lost beside any variance here; torch refuses 0.
        return functional.batch_norm(h, None, None, training=True, eps=1e-300)

    h = conv(x.reshape(-1, 2, 6, 6), weights["stem.weight"], padding=1)
    for block, stride in enumerate((1, 1, 2, 1)):
        inner, outer = weights[f"inner.{block}.weight"], weights[f"outer.{block}.weight"]
        new = conv(bn(h).relu(), inner, stride=stride, padding=1)
        new = conv(bn(new).relu(), outer, padding=1)
        first = block % 2 == 0
        h = new + (conv(bn(h), weights[f"skip.{block // 2}.weight"], stride=stride) if first else h)
    return bn(h).mean(dim=(2, 3)) @ head.T


def test_it_is_the_net_of_the_recipe_written_out() -> None:
    module, x = build(SMALL), rows(SMALL, 9)
    expected = as_written_out(dict(module.named_parameters()), module.get_buffer("head"), x)
    assert torch.allclose(module(x), expected, rtol=1e-9, atol=1e-10)


def test_the_full_net_has_32_layers_and_its_parameters() -> None:
    """By hand: stem 432; stages of 10 layers 3x3, the first of which reads fewer channels; skips 1x1."""
    stages = [10 * 9 * 16**2, 10 * 9 * 32**2 - 9 * 32 * 16, 10 * 9 * 64**2 - 9 * 64 * 32]
    skips = [16 * 16, 16 * 32, 32 * 64]
    assert count_parameters(FULL) == 432 + sum(stages) + sum(skips)
    convolutions = [m for m in build(FULL, dtype=torch.float32).modules() if getattr(m, "kernel", 0) == 3]
    assert len(convolutions) == 31  # and the head


def test_each_stage_has_a_scale_of_its_own() -> None:
    groups = {g.names: g.kind for g in net_groups(FULL)}
    joint = [names for names, kind in groups.items() if kind == "joint"]
    assert [len(names) for names in joint] == [6, 6, 6]
    assert sorted(len(names) for names, kind in groups.items() if kind == "exact") == [1] * 16
    assert [next(n for n in names if n.startswith("skip")) for names in joint] == [
        f"skip.{i}.weight" for i in range(3)
    ]


@pytest.mark.parametrize("name", NORMS)
def test_probing_finds_the_constructed_groups(name: str) -> None:
    spec = small(NORMS[name])
    found = invariant_groups(build(spec), [(rows(spec, 16), None)])
    assert {g.names: g.kind for g in found} == {g.names: g.kind for g in net_groups(spec)}


def test_with_an_eps_every_group_is_invariant_up_to_it() -> None:
    exact = {group.names for group in net_groups(SMALL)}
    assert {g.names: g.kind for g in net_groups(small(NormSpec(), eps=1e-6))} == dict.fromkeys(
        exact, "up to eps"
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NORMS)
def test_gradients_are_orthogonal_within_the_bound_and_not_with_an_eps(name: str, dtype: torch.dtype) -> None:
    spec = small(NORMS[name])
    x, y = rows(spec, 16).to(dtype), torch.arange(16) % 3
    start = initial_parameters(spec, 1, dtype=dtype)
    scale = orthogonality_scale(build(spec, dtype=dtype), start, x, y)
    loose = orthogonality_scale(build(small(NORMS[name], eps=1e-2), dtype=dtype), start, x, y)
    ratios, rivals = [], []
    for group in net_groups(spec):
        bound = gradient_orthogonality_bound(scale, group.names)
        ratios.append(abs(inner_product(scale.gradients, start, group.names)) / bound)
        rivals.append(abs(inner_product(loose.gradients, start, group.names)) / bound)
    assert max(ratios) < 0.1
    assert max(rivals) > 1.0


@pytest.mark.parametrize("name", NORMS)
def test_the_loss_is_known_to_its_rounding(name: str) -> None:
    spec = small(NORMS[name])
    x, y = rows(spec, 16), torch.arange(16) % 3
    weights = initial_parameters(spec, 1)
    loss, bound = evaluation_bound(build(spec), weights, x, y)
    thirds = {n: w * (1 / 3) for n, w in weights.items()}
    again, _ = evaluation_bound(build(spec), thirds, x, y)
    single = {n: w.float() for n, w in weights.items()}
    rough, rough_bound = evaluation_bound(build(spec, dtype=torch.float32), single, x.float(), y)
    assert abs(float(again - loss)) <= 2 * bound < 1e-6
    assert abs(float(rough) - float(loss)) <= rough_bound


def test_set_sizes_are_those_that_the_norms_see() -> None:
    seen: list[int] = []
    module = build(SMALL)
    for norm in module.norms:  # type: ignore[union-attr]
        assert isinstance(norm, nn.Module)
        norm.register_forward_hook(lambda m, args, out: seen.append(args[0][:, 0].numel()))
    functional_call(module, initial_parameters(SMALL, 0), (rows(SMALL, 5),))
    assert list(set_sizes(SMALL, 5)) == seen
    assert degenerate(SMALL, 5) is None


def test_it_survives_json_and_refuses_gains() -> None:
    assert net_from_json(to_json(FULL)) == FULL
    with pytest.raises(ValueError, match="without gains"):
        PreResNetSpec(image=(3, 8, 8), widths=(4,), blocks=1, classes=3, norm=NormSpec(affine=True))
    with pytest.raises(ValueError, match=r"widths\[1\]=0"):
        PreResNetSpec(image=(3, 8, 8), widths=(4, 0), blocks=1, classes=3)
