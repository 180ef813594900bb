"""Record which laws an unknown optimizer obeys: exponents, decay, memory, equilibrium. Imports no torch."""

from __future__ import annotations

from typing import Any

import msgspec


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Measured numbers; one is ``None`` where the optimizer does not let us vary what it needs."""

    target: str
    contract: str
    power_of_lr: float | None
    """p: the length of the first step without weight decay is proportional to lr^p."""
    degree_in_gradient: float | None
    """q: it is proportional to (size of the gradients)^q; 1 is SGD, 0 is sign-like or normalised."""
    degree_in_weights: float | None
    """r: it is proportional to (size of the weights)^r; 1 where a layer's step is scaled to its norm."""
    step_spread: float | None
    """Largest over smallest entry of the first step, over that of its gradient; 1 is linear, 0 is a sign."""
    decay_where: str
    """``weights`` (the same share of each), ``gradient`` (through the normalised gradient), or ``none``."""
    decay_factor: float | None
    decay_power_of_lr: float | None
    decay_power_of_weight_decay: float | None
    """The share lost in one step at zero gradient is factor * lr^power * weight_decay^power."""
    memory: tuple[float, ...]
    """The answer to one gradient over the steps after it, as shares of the first step."""
    growth: tuple[float, ...]
    """Sizes of the first steps under a constant gradient, as shares of the first."""
    equilibrium_norm: float | None
    """The norm of a scale-invariant weight at lr = wd = 0.1 under unit tangential noise."""
    equilibrium_angle: float | None
    """Its rotation per step, over sqrt(2 lr wd): 1 for SGD and decoupled decay with normalised steps."""

    def lines(self) -> list[str]:
        """Return the fingerprint as text for people."""
        p, q = self.decay_power_of_lr, self.decay_power_of_weight_decay
        step = f"lr^{_short(self.power_of_lr)} * |gradient|^{_short(self.degree_in_gradient)}"
        decay = f"at zero gradient: {self.decay_where}"
        if self.decay_factor is not None:
            decay = f"share per step {_short(self.decay_factor)} * lr^{_short(p)} * weight_decay^{_short(q)}"
        return [
            f"optimizer             {self.target}",
            f"family                {self.contract or 'unknown'}",
            f"first step            {step} * |weights|^{_short(self.degree_in_weights)}",
            f"shape of the step     {_short(self.step_spread)} (1 like the gradient, 0 like its sign)",
            f"weight decay          {decay}",
            f"memory of a gradient  {' '.join(map(_short, self.memory)) or 'not measured'}",
            f"constant gradient     {' '.join(map(_short, self.growth)) or 'not measured'}",
            f"equilibrium           norm {_short(self.equilibrium_norm)}, "
            f"turn {_short(self.equilibrium_angle)} * sqrt(2 lr wd) a step (lr = wd = 0.1)",
        ]


def _short(value: Any) -> str:
    if value is None:
        return "?"
    near = round(2 * value) / 2
    return f"{near if abs(value - near) < 1e-6 else value:.4g}"
