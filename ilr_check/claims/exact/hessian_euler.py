"""H w = -grad L, w'Hw = 0 and H(cw) = H / c^2, by Hessian-vector products."""

from __future__ import annotations

import torch
from torch import Tensor

from ilr_check.claims.exact.checks.derivatives import (
    Scaling,
    Tensors,
    gap,
    is_finite,
    out_of_range,
    products_leave_range,
    scaled,
    scalings,
)
from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of
from ilr_check.evidence import ClaimText
from ilr_check.nets import build, inner_product, net_groups, orthogonality_bounds
from ilr_check.nets.curvature import Curvature, HessianProduct
from ilr_check.seeds import derive
from ilr_check.theory.invariance import GRADIENT_DEGREE, HESSIAN_DEGREE, euler_sum
from ilr_check.train.loop import DTYPES, Step, steps_of

TEXT = ClaimText(
    id="hessian-euler",
    title="The Hessian maps the weights to minus the gradient",
    statement=(
        "For a scale-invariant group the Hessian of the loss applied to the weights is minus the gradient, "
        "the loss has no curvature along the weights, and multiplying the group by c divides the Hessian "
        "by c^2."
    ),
    equation="H w = −∇L,  wᵀH w = 0,  H(c·w) = c⁻² H(w)",
    source="Li, Lyu, Arora 2020, section 2 (smoothness is unbounded near 0); Euler's theorem for ∇L",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("exponent -1", "H w = 0"),
    meaning=(
        "The second backward pass is wrong, or the net is not scale-invariant: a norm layer has an eps, a "
        "variance is treated as a constant, or autograd cannot differentiate a custom backward pass."
    ),
    blind=(
        "gains and shifts, whose second derivatives have no bound here; and curvature across the weights, "
        "which the law does not restrict."
    ),
)


def check(example: Scaling) -> Outcome:
    """Check <v, H w> = -<v, g> for random v and for v = w, and H v at both scales, at each state."""
    setting, factors = example.setting, example.factors()
    module = build(setting.net, dtype=DTYPES[setting.dtype], device=setting.device)
    worst, steps, skipped = Worst(), 0, ""
    for step in steps_of(setting):
        weights = scaled(step.before, factors)
        v = _direction(step, setting.hyper.seed)
        plain = Curvature(module, step.before, step.x, step.y)
        product, other = plain.times(v), Curvature(module, weights, step.x, step.y).times(scaled(v, factors))
        if not is_finite(step.before, weights, product.values, other.values):
            break
        # The direction is scaled along, so that of c^-2 there remains c^-1.
        expected = scaled(product.values, factors, HESSIAN_DEGREE + 1)
        deviations = {name: gap(expected[name], other.values[name], setting.dtype) for name in expected}
        if max(deviations.values()) > 0 and any(
            out_of_range(module, w, step.x, step.y, expected, other.values)
            or products_leave_range(module, w, step.x, step.y, along)
            for w, along in ((step.before, v), (weights, scaled(v, factors)))
        ):
            skipped = UNDERFLOW
            break
        for name, deviation in deviations.items():
            worst.add(deviation, 1.0, group=name, step=step.t)
            worst.add_rival("exponent -1", gap(product.values[name], other.values[name], setting.dtype), 1.0)
        groups = [g for g in net_groups(setting.net) if g.invariant and not _is_affine(g.names)]
        inner = orthogonality_bounds(module, step.before, step.x, step.y, groups)
        radial = plain.times(step.before)
        for group, orthogonal in zip(groups, inner, strict=True):
            _euler(plain, product, step, v, group.names, worst)
            along, bound = inner_product(radial.values, step.before, group.names), radial.bound(group.names)
            worst.add(along, bound + orthogonal, group="+".join(group.names), step=step.t)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting), skipped=skipped)


def _euler(
    curvature: Curvature,
    product: HessianProduct,
    step: Step,
    v: Tensors,
    names: tuple[str, ...],
    worst: Worst,
) -> None:
    """Compare <w, H v> over the group with -<v, grad L>: Euler's theorem for f(w) = <v, grad L(w)>."""
    bound = product.bound(names)
    found = inner_product(product.values, step.before, names)
    expected = euler_sum(GRADIENT_DEGREE, inner_product(curvature.gradients, v, names))
    worst.add(found - expected, bound, group="+".join(names), step=step.t)
    worst.add_rival("H w = 0", found, bound)


def _direction(step: Step, seed: int) -> dict[str, Tensor]:
    """Return random numbers of the size of each tensor."""
    generator = torch.Generator().manual_seed(derive("direction", seed, step.t))
    found = {}
    for name, w in step.before.items():
        drawn = torch.randn(w.shape, generator=generator, dtype=torch.float64).to(w.device, w.dtype)
        found[name] = drawn * w.square().mean().sqrt()
    return found


def _is_affine(names: tuple[str, ...]) -> bool:
    """Return whether the group is a gain and shift, whose second derivatives ``Curvature`` does not bound."""
    return any(name.rpartition(".")[2] in ("gain", "shift") for name in names)


LAW = ExactLaw(
    text=TEXT,
    example_type=Scaling,
    examples=lambda: scalings(max_steps=3),
    check=check,
    real=lambda profile: (),
    quantity="|residual of the Hessian| / rounding bound",
)
CLAIM = LAW.claim()
