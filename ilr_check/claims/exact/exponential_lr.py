"""Weight decay at a constant lr is an exponentially growing lr without weight decay, momentum included.

Residuals of 0.97 bounds are usual here and no reason for concern. With momentum and a small lr wd the
rounding of alpha is nearly the whole bound, and it is known to 1 %; see ``exponential_step_bounds``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor

from ilr_check.claims.exact.checks.paths import finite
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.optim.schedules import Constant
from ilr_check.theory.gauge import corrected_buffer, growth_factor
from ilr_check.theory.rounding import Array, exponential_step_bounds, gauged_step_bound
from ilr_check.train.loop import Setting, State, Step, one_step, steps_of, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="exponential-lr",
    title="Weight decay is a growing learning rate",
    statement=(
        "SGD with weight decay takes the same directions as SGD without it and with the learning rate lr_t "
        "/ (P_t P_{t+1}), where P_t is the product of all (1 - lr wd) so far. With momentum, alpha^t "
        "stands in place of P_t, alpha being the larger root of the momentum recursion, and the buffer "
        "starts at -(1 - alpha) w_0 / (lr alpha). The claim compares one step from the same state, at "
        "every step."
    ),
    equation="(η, λ) ≡ (η α^{−2t−1}, 0),  α² − (1 + μ − ηλ) α + μ = 0;  w̃ = α^{−t} w",
    source="Li and Arora 2020, Theorems 2.9 and 2.12; the first buffer: section 2.3",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("exponent -2t", "first buffer left at zero"),
    meaning=(
        "Weight decay does not act as a pure rescaling of the weights: it is not multiplied by lr, or it "
        "enters the momentum buffer at another place than in torch.optim.SGD."
    ),
    blind=(
        "settings whose alpha is complex, where sqrt(lr wd) > 1 - sqrt(momentum): nothing is compared there."
    ),
)

SMALLEST_GROWTH = 1e-8
"""The run ends where P_t falls below this value: the mapped lr grows as P^-2 and would overflow float32."""


def check(setting: Setting) -> Outcome:
    """Map each state of the run with decay to one without, take a step there, and compare."""
    worst, steps, growth = Worst(), 0, 1.0
    previous: State = {}
    for step in steps_of(setting):
        factor = (
            growth_factor(step.lr, step.weight_decay, setting.hyper.momentum) if _within(setting, step) else 0
        )
        if not finite(step) or growth * factor < SMALLEST_GROWTH:
            break
        if step.lr > 0:
            _judge(setting, step, previous, growth, factor, worst)
        growth, previous = growth * factor, step.state
        steps += 1
    events = (f"momentum: {'some' if setting.hyper.momentum else 'none'}",)
    return worst.outcome(steps=steps, events=(*events_of(setting), *events))


def _within(setting: Setting, step: Step) -> bool:
    return bool(step.lr * step.weight_decay <= (1.0 - math.sqrt(setting.hyper.momentum)) ** 2)


def _judge(setting: Setting, step: Step, old: State, growth: float, factor: float, worst: Worst) -> None:
    mu, after = setting.hyper.momentum, growth * factor
    dtype = next(iter(step.before.values())).dtype
    buffers = {k: _buffer(old, k, w) for k, w in step.before.items()}
    mapped: State = {}
    if mu:
        for name, w in step.before.items():
            buffer: Any = corrected_buffer(buffers[name], w.double(), step.lr, factor)
            mapped[name] = {"momentum_buffer": (buffer * (growth / factor)).to(dtype)}
    start: dict[str, Any] = {
        "weights": {k: w.double().div(growth).to(dtype) for k, w in step.before.items()},
        "gradient": {k: g.double().mul(growth).to(dtype) for k, g in step.gradient.items()},
        "weight_decay": 0.0,
    }
    lr = step.lr / (growth * after)
    weights, state = one_step(torch_sgd, setting.hyper, state=mapped, lr=lr, **start)
    # After t steps alpha^(-2t) and alpha^(-2t-1) differ by one factor.
    slow, _ = one_step(torch_sgd, setting.hyper, state=mapped, lr=lr * factor, **start)
    still = {k: {"momentum_buffer": torch.zeros_like(w)} for k, w in step.before.items()}
    for name, w in step.before.items():
        limits = _bounds(setting, step, name, buffers[name], growth, factor)
        expected = step.after[name].double() / after
        worst.add(_largest(weights[name], expected, limits[0]), 1.0, group=name, step=step.t)
        if mu:
            made = state[name]["momentum_buffer"]
            goal: Any = corrected_buffer(
                _buffer(step.state, name, w), step.after[name].double(), step.lr, factor
            )
            worst.add(_largest(made, goal * growth, limits[1]), 1.0, group=f"buffer of {name}", step=step.t)
        if step.t == 0:
            worst.add_rival("exponent -2t", _largest(slow[name], expected, limits[0]), 1.0)
            if mu:
                left, _ = one_step(torch_sgd, setting.hyper, state=still, lr=lr, **start)
                worst.add_rival("first buffer left at zero", _largest(left[name], expected, limits[0]), 1.0)


def _bounds(
    setting: Setting, step: Step, name: str, buffer: Tensor, growth: float, factor: float
) -> tuple[Array, Array]:
    w, v, g = (x.double().abs().cpu().numpy() for x in (step.before[name], buffer, step.gradient[name]))
    rates = {"eta": step.lr, "lam": step.weight_decay}
    if not setting.hyper.momentum:
        c, c_next = 1.0 / growth, 1.0 / (growth * factor)
        return gauged_step_bound(w, g, **rates, c=c, c_next=c_next, dtype=setting.dtype), v
    return exponential_step_bounds(
        w, v, g, **rates, mu=setting.hyper.momentum, alpha=factor, growth=growth, dtype=setting.dtype
    )


def _buffer(state: State, name: str, like: Tensor) -> Tensor:
    found = state.get(name, {}).get("momentum_buffer")
    return torch.zeros_like(like, dtype=torch.float64) if found is None else found.double()


def _largest(value: Tensor, expected: Tensor, bound: Array) -> float:
    return float(((value.double() - expected).abs() / torch.as_tensor(bound, device=expected.device)).max())


def _examples() -> SearchStrategy[Setting]:
    import hypothesis.strategies as st

    def with_decay(parts: tuple[Setting, float, float]) -> Setting:
        setting, momentum, alpha = parts
        limit = alpha * (1.0 - momentum**0.5) ** 2
        hyper = msgspec.structs.replace(
            setting.hyper, momentum=momentum, weight_decay=limit / setting.hyper.lr
        )
        if momentum:
            setting = msgspec.structs.replace(setting, lr_schedule=Constant(), decay_schedule=Constant())
        return msgspec.structs.replace(setting, hyper=hyper)

    alphas = st.sampled_from((0.5, 0.0, 0.1, 0.01, 0.001, 0.9))
    return st.tuples(settings(momentum=False), st.sampled_from((0.0, 0.5, 0.9, 0.99)), alphas).map(with_decay)


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="difference of a step / rounding bound",
)
CLAIM = LAW.claim()
