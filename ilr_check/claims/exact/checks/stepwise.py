"""One step from the same weights at two scales whose ratio is no power of two, against a derived bound.

At every step the scaled optimizer receives a w_t and g_t / a of the plain run, so nothing chaotic is compared
and only its state evolves freely. The reference implementation of its contract makes the same steps with a
running error analysis (Higham, section 3.3): each operation adds u |result|, and a w and g / a enter with the
rounding of their own. An implementation may round ``ROUNDINGS`` times where the reference implementation
rounds once. Both runs do so, and the scaled arguments carry three roundings more (a power and a product). The
bound is therefore (2 ROUNDINGS + 3) times the running error.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from ilr_check.claims.exact.checks.paths import finite
from ilr_check.claims.exact.checks.scaling import scaled_setting
from ilr_check.claims.exact_law import Worst
from ilr_check.optim.contracts import contract_named
from ilr_check.optim.contracts.reference import SMALLEST, UNIT, ReferenceImplementation
from ilr_check.optim.contracts.running import ROUNDINGS, Tracked, error_of
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import Symmetry
from ilr_check.train.loop import Setting, Step, steps_of

BOUNDS = 2.0 * ROUNDINGS + 3.0


def steps_agree(
    setting: Setting, optimizer: OptimizerSpec, symmetry: Symmetry, a: float, worst: Worst
) -> int:
    """Add the difference between a w_{t+1} and the scaled optimizer's weights; return the steps compared."""
    scaled = symmetry.scaled(optimizer, a)
    other = scaled_setting(setting, optimizer, symmetry, a)
    rates = list(
        zip(
            other.lr_schedule.factors(other.hyper.steps),
            other.decay_schedule.factors(other.hyper.steps),
            strict=True,
        )
    )
    parameters: dict[str, nn.Parameter] = {}
    steps = 0
    for step in steps_of(setting, optimizer):
        if not finite(step) or not all(bool(torch.isfinite(g).all()) for g in step.gradient.values()):
            break
        if not _in_range(step, a):
            break
        weights = {name: w * a for name, w in step.before.items()}
        gradients = {name: g / a for name, g in step.gradient.items()}
        lr, decay = other.hyper.lr * rates[step.t][0], other.hyper.weight_decay * rates[step.t][1]
        if not parameters:
            parameters = {name: nn.Parameter(w.clone()) for name, w in weights.items()}
            hyper = msgspec.structs.replace(other.hyper, lr=lr, weight_decay=decay)
            stepper = scaled(list(parameters.values()), hyper)
            book = _textbook(scaled, weights, setting.dtype, lr, decay)
        for group in stepper.param_groups:
            group["lr"], group["weight_decay"] = lr, decay
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(weights[name])
                p.grad = gradients[name].clone()
        stepper.step()
        bounds = book.step(
            [_rounded(g, setting.dtype) for g in gradients.values()],
            weights=[_rounded(w, setting.dtype) for w in weights.values()],
            lr=lr,
            weight_decay=decay,
        )
        for (name, p), bound in zip(parameters.items(), bounds, strict=True):
            if _below_floor(symmetry, step.gradient[name], gradients[name]):
                continue
            worst.add(_share(step, name, p.detach(), a, error_of(bound)), 1.0, group=name, step=step.t)
        steps += 1
    return steps


def _in_range(step: Step, a: float) -> bool:
    """Return whether the scaled weights stay finite in the step, with a factor of 4 to spare in products."""
    largest = max(float(w.abs().max()) for w in (*step.before.values(), *step.after.values()))
    info = torch.finfo(next(iter(step.after.values())).dtype)
    return 4.0 * a * largest * max(1.0, step.weight_decay) < info.max


def _below_floor(symmetry: Symmetry, *gradients: Tensor) -> bool:
    """Return whether an entry reaches the constant that no power scales; it then stands for its tensor."""
    return any(bool(((g != 0) & (g.abs() < symmetry.gradient_floor)).any()) for g in gradients)


def _share(step: Step, name: str, moved: Tensor, a: float, error: Any) -> float:
    """Return the largest difference over its bound; an infinite bound says nothing about its entry."""
    gap = (moved.double() - step.after[name].double() * a).abs().cpu().numpy()
    speaks = np.isfinite(error)
    alphas = np.divide(gap, BOUNDS * error, out=np.zeros_like(gap), where=speaks & (error > 0))
    alphas = np.where(speaks & (error == 0) & (gap > 0), np.inf, alphas)
    return float(np.max(alphas, initial=0.0))


def _rounded(value: Tensor, dtype: str) -> Any:
    numbers = value.detach().double().cpu().numpy()
    error = UNIT[dtype] * np.abs(numbers) + SMALLEST[dtype]
    return Tracked(numbers, UNIT[dtype], error=error, tiny=SMALLEST[dtype])


def _textbook(
    optimizer: OptimizerSpec, starts: dict[str, Tensor], dtype: str, lr: float, weight_decay: float
) -> ReferenceImplementation:
    """Return the reference implementation of the optimizer, with the hyper-parameters of its arguments."""
    contract = contract_named(optimizer.name.lower())
    hyper: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
    for ours, name in contract.names.items():
        for theirs in name.names:
            base, _, index = theirs.partition(".")
            if ours not in hyper and optimizer.takes(base):
                value = optimizer.argument(base)
                hyper[ours] = value[int(index)] if index else value
        hyper.setdefault(ours, name.default)
    if optimizer.name == "Lion" and not optimizer.argument("decoupled_weight_decay"):
        hyper["decay"] = "coupled"
    arrays = [w.detach().double().cpu().numpy() for w in starts.values()]
    return ReferenceImplementation(contract, arrays, hyper, dtypes=[dtype] * len(arrays))
