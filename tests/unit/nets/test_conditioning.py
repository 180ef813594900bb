"""The rounding bound: it covers every generated net with room, and refutes what is not invariant."""

import msgspec
import pytest
import torch
from hypothesis import event, given, settings
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from ilr_check.nets import (
    MLPSpec,
    NetSpec,
    build,
    degenerate,
    gradient_orthogonality_bound,
    initial_parameters,
    inner_product,
    net_groups,
    orthogonality_bounds,
    orthogonality_scale,
)
from ilr_check.optim.hyper import HyperParams
from ilr_check.strategies import hyper_params, net_specs

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def batch(spec: NetSpec, hyper: HyperParams, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(hyper.seed)
    x = torch.randn(hyper.batch_size, spec.inputs, generator=generator, dtype=torch.float64).to(dtype)
    return x, torch.randint(spec.classes, (hyper.batch_size,), generator=generator)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(spec=net_specs(), hyper=hyper_params())
def test_residual_is_within_the_bound_with_room(dtype: str, spec: NetSpec, hyper: HyperParams) -> None:
    event(f"degenerate: {degenerate(spec, hyper.batch_size)}")
    x, y = batch(spec, hyper, DTYPES[dtype])
    start = initial_parameters(spec, hyper.seed, scale=hyper.init_scale, dtype=DTYPES[dtype])
    scale = orthogonality_scale(build(spec, dtype=DTYPES[dtype]), start, x, y)
    for group in net_groups(spec):
        bound = gradient_orthogonality_bound(scale, group.names)
        # 0.004 was the worst of some 6000 groups in either dtype; the bound itself is not tuned to it
        assert abs(inner_product(scale.gradients, start, group.names)) <= 0.1 * bound, group


@settings(max_examples=30, deadline=None)
@given(spec=net_specs(max_depth=3, min_width=4), hyper=hyper_params(min_batch_size=8, max_init_scale=1.0))
def test_large_eps_and_the_head_exceed_the_bound_by_orders(spec: NetSpec, hyper: HyperParams) -> None:
    if degenerate(spec, hyper.batch_size):
        return  # no gradient, hence no violation to see
    x, y = batch(spec, hyper, torch.float64)
    start = initial_parameters(spec, hyper.seed)
    loose = build(msgspec.structs.replace(spec, norm=msgspec.structs.replace(spec.norm, eps=1e-3)))
    scale = orthogonality_scale(loose, start, x, y)
    groups = [g for g in net_groups(spec) if g.kind != "dead"]
    worst = max(
        abs(inner_product(scale.gradients, start, g.names)) / gradient_orthogonality_bound(scale, g.names)
        for g in groups
    )
    assert worst > 1e3
    module = build(spec)
    head = module.get_buffer("head").clone().requires_grad_()
    loss = cross_entropy(functional_call(module, {**start, "head": head}, (x,)), y)
    (slope,) = torch.autograd.grad(loss, head)
    bounds = orthogonality_bounds(module, start, x, y, groups)
    assert abs(inner_product({"head": slope}, {"head": head.detach()}, ["head"])) > 1e4 * max(bounds)


def test_batch_of_two_is_covered_although_its_gradient_is_rounding() -> None:
    spec = MLPSpec(inputs=5, widths=(8,), classes=3)
    hyper = HyperParams(lr=1.0, batch_size=2)
    x, y = batch(spec, hyper, torch.float64)
    start = initial_parameters(spec, 0)
    scale = orthogonality_scale(build(spec), start, x, y)
    product = sum(float((scale.gradients[n] * start[n]).sum().abs()) for n in start)
    size = sum(float(scale.gradients[n].norm() * start[n].norm()) for n in start)
    assert size < 1e-12  # so a bound relative to |g||w| would be of the order of u * u
    assert product <= gradient_orthogonality_bound(scale, start)


def test_module_is_left_without_hooks_and_gradients_agree_with_autograd() -> None:
    spec = MLPSpec(inputs=5, widths=(8, 8), classes=3)
    x, y = batch(spec, HyperParams(lr=1.0, batch_size=9), torch.float64)
    module, start = build(spec), initial_parameters(spec, 0)
    scale = orthogonality_scale(module, start, x, y)
    cross_entropy(module(x), y).backward()
    assert not any(m._forward_hooks for m in module.modules())
    assert all(torch.equal(scale.gradients[n], p.grad) for n, p in module.named_parameters())


def test_foreign_module_is_refused() -> None:
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 2, 2)
    with pytest.raises(ValueError, match="Linear was not made by"):
        orthogonality_scale(layer, {}, torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
