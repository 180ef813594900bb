"""Heavy ball: <w_{t+1}, w_t> = (1 + mu' - lr wd) r_t^2 - mu' <w_t, w_{t-1}> at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ilr_check.claims.exact.checks.motion import Motion, Vector, motions
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.evidence import ClaimText
from ilr_check.theory.heavy_ball import has_complex_roots, next_inner_product, next_inner_product_from_buffer
from ilr_check.theory.step_rounding import buffer_error, momentum_error, roundings
from ilr_check.train.loop import OptimizerFactory, Setting, torch_sgd

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="momentum-identity",
    title="Inner products of successive weights under momentum",
    statement=(
        "With heavy-ball momentum mu, successive weights w_before, w, w' obey <w', w> = (1 + mu' - lr*wd) "
        "||w||^2 - mu' <w, w_before>. Here lr is the learning rate, wd the weight decay, and mu' is mu "
        "times the ratio of this lr to the last one. After steps of lr 0 the momentum buffer takes the "
        "place of the difference of weights."
    ),
    equation="⟨wₜ₊₁, wₜ⟩ = (1 + μ′ − ηλ) ‖wₜ‖² − μ′ ⟨wₜ, wₜ₋₁⟩,  μ′ = μ ηₜ/ηₜ₋₁",
    source="exact form of Wan, Zhu, Zhang, Sun 2021, cos = 1 − ηλ/(1 + μ) on average; ⟨g, w⟩ = 0",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("dampened form",),
    meaning=(
        "The optimizer is not torch's heavy ball without dampening and with decay in the gradient: the "
        "buffer is an average (a factor 1 - mu), lr sits inside the buffer, decay is decoupled from it, or "
        "the buffer is reset, rescaled or started differently."
    ),
    blind="the length of the gradient's part of the first step, Nesterov's form, and dampening.",
)


@dataclass(frozen=True, eq=False)
class Buffer:
    """The momentum buffer of a group, computed from its gradients and weights so far, and its error bound."""

    value: Vector
    error: float = 0.0

    def pushed(self, motion: Motion, mu: float) -> Buffer:
        """Return b' = mu b + g + lam w, in float64."""
        s = motion.sizes
        size = float(np.linalg.norm(self.value))
        value = mu * self.value + motion.gradient + s.lam * motion.w
        return Buffer(value, buffer_error(s, mu=mu, b=size, before=self.error))


def check(setting: Setting, optimizer: OptimizerFactory = torch_sgd) -> Outcome:
    """Compute the residuals of the recursion in the weights and in the buffer, in units of their bounds."""
    worst, steps, mu = Worst(), 0, setting.hyper.momentum
    buffers: dict[str, Buffer] = {}
    last: dict[str, Motion] = {}
    complex_roots = False
    for moved in motions(setting, optimizer):
        if steps:
            # A group that was out of range for a step has an unknown buffer from then on.
            moved = tuple(motion for motion in moved if motion.name in last)
        for motion in moved:
            s = motion.sizes
            old = buffers.get(motion.name, Buffer(np.zeros_like(motion.w)))
            new = old.pushed(motion, mu)
            size = float(np.linalg.norm(new.value))
            bound = momentum_error(s, b=size, error=new.error)
            along = float(old.value @ motion.w)
            # The start of this sum errs by gamma_n mu ||b|| r, which may exceed ||b'|| r.
            bound += 2.0 * s.gamma(8) * s.eta * mu * float(np.linalg.norm(old.value)) * s.r
            predicted = next_inner_product_from_buffer(r2=s.r**2, along=along, mu=mu, eta=s.eta, lam=s.lam)
            worst.add(motion.inner - predicted, bound, group=motion.name, step=motion.step.t)
            # An averaging optimizer takes 1 - mu of gradient and decay into its buffer.
            dampened = s.r**2 - s.eta * (mu * along + (1.0 - mu) * s.lam * s.r**2)
            worst.add_rival("dampened form", motion.inner - dampened, bound)
            if motion.name in last and last[motion.name].sizes.eta > 0.0:
                _in_weights(last[motion.name], motion, old, size + new.error, mu, worst)
            complex_roots |= has_complex_roots(mu=mu, eta=s.eta, lam=s.lam)
            buffers[motion.name] = new
        last = {motion.name: motion for motion in moved}
        steps += 1
    events = ("momentum: complex roots",) if complex_roots else ()
    return worst.outcome(steps=steps, events=(*events_of(setting), *events))


def _in_weights(old: Motion, new: Motion, buffer: Buffer, b: float, mu: float, worst: Worst) -> None:
    """Check the recursion: the old buffer is (w_before - w + e) / lr_before, with the rounding e of its
    step."""
    s, before = new.sizes, old.sizes
    carried = mu * s.eta / before.eta
    predicted = next_inner_product(
        r2=s.r**2, inner=old.inner, mu=mu, eta=s.eta, eta_before=before.eta, lam=s.lam
    )
    made = float(np.linalg.norm(buffer.value)) + buffer.error
    lost = roundings(before.r + before.eta * made, s.entries, s.dtype)
    pushed = roundings(mu * made + s.g + s.lam * s.r, s.entries, s.dtype)
    moved = roundings(s.r + s.eta * b, s.entries, s.dtype)
    products = s.r * s.r_next + (1.0 + s.eta * s.lam + carried) * s.r**2 + carried * s.r * before.r
    bound = (
        s.eta * (s.inner + s.r * pushed) + s.r * moved + carried * s.r * lost + 2.0 * s.gamma(8) * products
    )
    worst.add(new.inner - predicted, bound, group=new.name, step=new.step.t)


def _examples() -> SearchStrategy[Setting]:
    import hypothesis.strategies as st

    def with_momentum(setting: Setting, mu: float) -> Setting:
        hyper = msgspec.structs.replace(setting.hyper, momentum=mu, dampening=0.0, nesterov=False)
        return msgspec.structs.replace(setting, hyper=hyper)

    momenta = st.sampled_from((0.5, 0.9, 0.99)) | st.integers(1, 999).map(lambda n: n / 1000)
    return st.builds(with_momentum, settings(momentum=False), momenta)


LAW = ExactLaw(
    text=TEXT,
    example_type=Setting,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="|inner product residual| / rounding bound",
)
CLAIM = LAW.claim()
