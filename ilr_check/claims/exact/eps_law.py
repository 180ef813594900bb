"""With eps in a norm, (w, eps) -> (c w, c^2 eps) is the symmetry, and <g, w> = -2 eps dL/d(eps)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact.checks.scaled_states import deviation, leaves_range, logits, scaled
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.claims.settings.nets import digits_settings
from ilr_check.evidence import ClaimText
from ilr_check.nets import build, net_groups, orthogonality_bounds, scalable
from ilr_check.nets.build import Read
from ilr_check.nets.conditioning import SAFETY
from ilr_check.nets.norms import Norm
from ilr_check.nets.specs import NetSpec
from ilr_check.theory.norm_eps import next_squared_norm_with_eps, radial_product
from ilr_check.theory.rounding import UNIT_ROUNDOFF, norm_recursion_bound
from ilr_check.train.loop import DTYPES, Setting, Step, steps_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

TEXT = ClaimText(
    id="eps-law",
    title="The exact effect of the eps of a norm",
    statement=(
        "The eps of a group's own norm layers breaks its scale invariance by <g, w> = -2 eps dL/d(eps), "
        "where g is the gradient, w the weights and L the loss. In a step of SGD it acts as an extra "
        "weight decay of that size over ||w||^2. Multiplying w by c and eps by c^2 changes nothing."
    ),
    equation="⟨∇L, w⟩ = −2ε ∂L/∂ε;  L(c·w, c²·ε) = L(w, ε)",
    source="Euler's theorem for the joint scaling: a norm divides by sqrt(var + eps), var quadratic in w",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=(
        "eps left alone",
        "<g, w> = 0 in spite of eps",
        "half of it: <g, w> = -eps dL/d(eps)",
        "no extra decay",
    ),
    meaning=(
        "The norm layer does not divide by sqrt(var + eps): eps stands outside the root, a variance is "
        "clamped, or the backward pass leaves out a part of it."
    ),
    blind="every optimizer except SGD without momentum, because the extra decay is stated for that one only.",
)

EPS = (1e-5, 1e-3, 1e-1, 10.0)
CHECKED = 4
"""The largest number of states of a training that are checked."""


class WithEps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training of a net whose norms have an eps, and the power of two by which its groups are scaled."""

    setting: Setting
    power: int

    def __post_init__(self) -> None:
        if self.setting.net.norm.eps == 0:
            raise ValueError("norm eps=0: the law is about a positive one; the others speak about 0")
        if not 1 <= abs(self.power) <= 20:
            raise ValueError(f"power={self.power!r}: must be within [-20, 20] and not 0")


def check(example: WithEps) -> Outcome:
    """Check the product, the norm's recursion and the joint scaling, at some steps of a training."""
    setting = example.setting
    dtype, last = DTYPES[setting.dtype], setting.hyper.steps - 1
    module = build(setting.net, dtype=dtype, device=setting.device)
    worst, steps, skipped = Worst(), 0, ""
    for step in steps_of(setting):
        values = (step.loss, *step.before.values(), *step.after.values(), *step.gradient.values())
        if not all(bool(torch.isfinite(value).all()) for value in values):
            break
        if step.t % max(1, last // (CHECKED - 1)):
            continue
        _products(example, module, step, worst)
        skipped = _joint_scaling(example, module, step, worst)
        if skipped:
            break
        steps += 1
    events = (*events_of(setting), f"eps: {setting.net.norm.eps:g}")
    return worst.outcome(steps=steps, events=events, skipped=skipped)


def own_reads(net: NetSpec, module: nn.Module, names: tuple[str, ...]) -> list[int]:
    """Return which norms, in order of execution, read what the group ``names`` scales."""
    calls: tuple[str, ...] = module.calls  # type: ignore[assignment]
    reads: tuple[Read, ...] = module.reads  # type: ignore[assignment]
    owners = {name.rpartition(".")[0] for name in names}
    return [
        i for i, read in enumerate(reads) if read.affine in owners or owners & {calls[c] for c in read.calls}
    ]


def _products(example: WithEps, module: nn.Module, step: Step, worst: Worst) -> None:
    """Check <g, w> + 2 eps dL/d(eps) of every group, and its effect on the norm in a step of plain SGD.

    The bound is that of gradient-orthogonality, whose derivation holds with sigma^2 = var + eps. For the
    slope it is the sum over all N numbers of a norm of v y / sigma^2, with a relative error of (N + 10) u.
    Because eps <= sigma^2, that is at most (N + 10) u sum|v y|.
    """
    setting, eps = example.setting, example.setting.net.norm.eps
    exact = msgspec.structs.replace(setting.net, norm=msgspec.structs.replace(setting.net.norm, eps=0.0))
    groups = [g for g in net_groups(exact) if g.kind != "dead"]
    slopes, sums = _slopes(module, step, eps)
    bounds = orthogonality_bounds(module, step.before, step.x, step.y, groups)
    for group, orthogonality in zip(groups, bounds, strict=True):
        own = own_reads(setting.net, module, group.names)
        slope, name = math.fsum(slopes[i] for i in own), "+".join(group.names)
        bound = orthogonality + SAFETY * UNIT_ROUNDOFF[setting.dtype] * sum(sums[i] for i in own)
        g, w, after = (
            torch.cat([tensors[n].double().flatten() for n in group.names])
            for tensors in (step.gradient, step.before, step.after)
        )
        inner, expected = float(g @ w), float(radial_product(eps, slope))
        worst.add(inner - expected, bound, group=name, step=step.t)
        worst.add_rival("<g, w> = 0 in spite of eps", inner, bound)
        worst.add_rival("half of it: <g, w> = -eps dL/d(eps)", inner - expected / 2.0, bound)
        r2, g2, lr, decay = float(w @ w), float(g @ g), step.lr, step.weight_decay
        wide = float(
            norm_recursion_bound(
                r=math.sqrt(r2),
                g=math.sqrt(g2),
                eta=lr,
                lam=decay,
                inner_product_bound=bound,
                count=w.numel(),
                dtype=setting.dtype,
            )
        )
        reached = float(after @ after)
        worst.add(
            reached - float(next_squared_norm_with_eps(r2, g2, lr, decay, expected)),
            wide,
            group=f"{name}: norm",
            step=step.t,
        )
        without = float(next_squared_norm_with_eps(r2, g2, lr, decay, 0.0))
        worst.add_rival("no extra decay", reached - without, wide)


def _slopes(module: nn.Module, step: Step, eps: float) -> tuple[list[float], list[float]]:
    """Return dL/d(eps) of each norm by autograd, and (N + 10) sum|v y| over its N numbers."""
    leaves = {name: w.clone().requires_grad_() for name, w in step.before.items()}
    each: list[Tensor] = []
    outs: list[Tensor] = []

    def give_eps(norm: nn.Module, args: tuple[Tensor]) -> None:
        norm.eps = torch.full((), eps, dtype=args[0].dtype, device=args[0].device, requires_grad=True)
        each.append(norm.eps)

    norms = [part for part in module.modules() if isinstance(part, Norm)]
    hooks = [norm.register_forward_pre_hook(give_eps) for norm in norms]
    hooks += [norm.register_forward_hook(lambda norm, args, out: outs.append(out)) for norm in norms]
    try:
        loss = cross_entropy(functional_call(module, leaves, (step.x,)), step.y)
    finally:
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.eps = None
    grads = torch.autograd.grad(loss, [*each, *outs], allow_unused=True, materialize_grads=True)
    slopes = [float(slope) for slope in grads[: len(each)]]
    behind = zip(grads[len(each) :], outs, strict=True)
    return slopes, [
        (y.numel() + 10) * float((v.double() * y.detach().double()).abs().sum()) for v, y in behind
    ]


def _joint_scaling(example: WithEps, module: nn.Module, step: Step, worst: Worst) -> str:
    """Scale all groups, every second one in the other direction, and the eps of the norms that read them."""
    net, eps = example.setting.net, example.setting.net.norm.eps
    groups = scalable(net)
    powers = [example.power * (-1) ** i for i in range(len(groups))]
    other = scaled(step.before, groups, [2.0**power for power in powers])
    of_read = [0] * len(module.reads)  # type: ignore[arg-type]
    for names, power in zip(groups, powers, strict=True):
        for i in own_reads(net, module, names):
            of_read[i] += power
    factors = iter([4.0**power for power in of_read])

    def give_eps(norm: nn.Module, args: tuple[Tensor]) -> None:
        norm.eps = torch.full((), eps * next(factors), dtype=args[0].dtype, device=args[0].device)

    plain = logits(module, step.before, step.x)
    alone = logits(module, other, step.x)
    norms = [part for part in module.modules() if isinstance(part, Norm)]
    hooks = [norm.register_forward_pre_hook(give_eps) for norm in norms]
    try:
        jointly = logits(module, other, step.x)
    finally:
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.eps = None
    different = deviation(plain, jointly)
    if different > 0 and leaves_range(module, (step.before, other), step.x):
        return UNDERFLOW
    worst.add(different, 1.0, group="all groups, with their eps", step=step.t)
    worst.add_rival("eps left alone", deviation(plain, alone), 1.0)
    return ""


def _examples() -> SearchStrategy[WithEps]:
    import hypothesis.strategies as st

    return st.builds(
        WithEps,
        setting=settings(momentum=False, max_steps=CHECKED, eps=EPS),
        power=st.integers(-6, 6).filter(bool),
    )


def _real(profile: Profile) -> tuple[tuple[str, WithEps], ...]:
    def with_eps(setting: Setting) -> Setting:
        norm = msgspec.structs.replace(setting.net.norm, eps=1e-3)
        return msgspec.structs.replace(setting, net=msgspec.structs.replace(setting.net, norm=norm))

    return tuple(
        (f"{title}, eps 1e-3", WithEps(setting=with_eps(setting), power=1))
        for title, setting in digits_settings(profile, momentum=0.0)
    )


LAW = ExactLaw(
    text=TEXT,
    example_type=WithEps,
    examples=_examples,
    check=check,
    real=_real,
    quantity="residual / rounding bound",
)
CLAIM = LAW.claim()
