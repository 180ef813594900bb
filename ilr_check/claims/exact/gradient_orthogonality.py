"""<grad L_B(w), w> = 0 for every minibatch B and every scale-invariant group w."""

from __future__ import annotations

import msgspec
import torch
from torch.func import functional_call

from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.full_size import full_size_settings
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.nets import build, net_groups, orthogonality_bounds
from ilr_check.train.loop import DTYPES, Setting, Step, steps_of

TEXT = ClaimText(
    id="gradient-orthogonality",
    title="Gradients are orthogonal to the weights",
    statement=(
        "The gradient of a scale-invariant group is orthogonal to the weights of the group, for every "
        "minibatch."
    ),
    equation="⟨∇L_B(w), w⟩ = 0",
    source="Li, Lyu, Arora 2020, section 2; Euler's theorem for functions of degree 0",
    kind="exact",
    chapter="exact",
    groups=("core", "exact"),
    rivals=("BatchNorm eps of 1e-3", "the head is invariant too"),
    meaning=(
        "A layer that should be scale-invariant is not: a norm layer has a large eps or stale running "
        "statistics, a bias or an affine scale stands in the wrong place, or a backward pass is wrong."
    ),
    blind=(
        "a wrong gradient that is still orthogonal to the weights, such as one that is scaled or comes "
        "from other labels."
    ),
)


def check(setting: Setting) -> Outcome:
    """Compute the residual |<g, w>| of every group at every step, in units of its rounding bound."""
    worst, steps = Worst(), 0
    module = build(setting.net, dtype=DTYPES[setting.dtype], device=setting.device)
    groups = net_groups(setting.net)
    for step in steps_of(setting):
        if not _finite(step):
            break
        bounds = orthogonality_bounds(module, step.before, step.x, step.y, groups)
        for group, bound in zip(groups, bounds, strict=True):
            inner = sum(_inner(step.gradient[name], step.before[name]) for name in group.names)
            worst.add(abs(inner), bound, group="+".join(group.names), step=step.t)
        if step.t == 0:
            _rivals(setting, step, worst)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting))


def _rivals(setting: Setting, step: Step, worst: Worst) -> None:
    """Return the same residual where invariance fails: with a large eps, and for the head."""
    dtype = DTYPES[setting.dtype]
    with_eps = msgspec.structs.replace(setting.net, norm=msgspec.structs.replace(setting.net.norm, eps=1e-3))
    module = build(with_eps, dtype=dtype, device=setting.device)
    weights = {name: w.clone().requires_grad_() for name, w in step.before.items()}
    head = module.get_buffer("head").clone().requires_grad_()
    logits = functional_call(module, {**weights, "head": head}, (step.x,))
    torch.nn.functional.cross_entropy(logits, step.y).backward()  # type: ignore[no-untyped-call]
    groups = net_groups(setting.net)
    bounds = orthogonality_bounds(module, step.before, step.x, step.y, groups)
    for group, bound in zip(groups, bounds, strict=True):
        pairs = [(weights[name].grad, weights[name]) for name in group.names]
        inner = sum(_inner(g, w.detach()) for g, w in pairs if g is not None)
        worst.add_rival("BatchNorm eps of 1e-3", inner, bound)
        if head.grad is not None:
            worst.add_rival("the head is invariant too", _inner(head.grad, head.detach()), bound)


def _inner(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return <a, b>, summed in float64 so that only the rounding of the gradient is judged."""
    return float((a.double() * b.double()).sum())


def _finite(step: Step) -> bool:
    return bool(torch.isfinite(step.loss)) and all(
        bool(torch.isfinite(g).all()) for g in step.gradient.values()
    )


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=lambda: settings(momentum=True),
    check=check,
    real=lambda profile: (
        *digits_settings(profile, momentum=0.9),
        *full_size_settings(profile, momentum=0.9),
    ),
    quantity="|<g, w>| / rounding bound",
)
CLAIM = LAW.claim()
