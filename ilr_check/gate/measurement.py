"""Measure a fingerprint by single steps from chosen weights and gradients; nothing is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from ilr_check.gate.fingerprint import Fingerprint
from ilr_check.gate.law import Circumstances
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import CannotVaryError

LR, WEIGHT_DECAY = 0.05, 0.12
FACTORS = (1.0, 4.0, 16.0)
"""Powers of two, so that scaling an argument rounds nothing; far from where an eps matters."""
SIZE = 12
MEMORY = 8
EQUILIBRIUM = {"lr": 0.1, "weight_decay": 0.1, "size": 256, "steps": 1200, "settle": 400}
"""Relaxation takes 1 / (4 lr wd) = 25 steps; norms are averaged over the 800 after the first 400."""


def measure(subject: Subject, seed: int = 0) -> Fingerprint:
    """Measure an optimizer, in some tenths of a second; nothing is judged."""
    probe = _Probe(subject, seed)
    where, factor, p, q = probe.decay()
    norm, angle = probe.equilibrium()
    return Fingerprint(
        target=subject.title,
        contract="" if subject.contract is None else subject.contract.name,
        power_of_lr=probe.power(lambda c: probe.step(lr=LR * c / 16)) if subject.can_vary("lr") else None,
        degree_in_gradient=probe.power(lambda c: probe.step(gradient=c)),
        degree_in_weights=probe.power(lambda c: probe.step(weights=c)),
        step_spread=probe.spread(),
        decay_where=where,
        decay_factor=factor,
        decay_power_of_lr=p,
        decay_power_of_weight_decay=q,
        memory=probe.series([1.0] + [0.0] * (MEMORY - 1)),
        growth=probe.series([1.0] * 5),
        equilibrium_norm=norm,
        equilibrium_angle=angle,
    )


class _Probe:
    """Chosen steps of one optimizer, always from the same weights and gradient."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject = subject
        rng = Circumstances("fingerprint", seed).generator()
        signs = rng.choice((-1.0, 1.0), size=SIZE)
        self.weights = rng.uniform(0.5, 2.0, size=SIZE) * rng.choice((-1.0, 1.0), size=SIZE)
        self.gradient = np.geomspace(0.25, 4.0, SIZE) * signs
        self.noise = Circumstances("fingerprint", seed).generator("equilibrium")

    def run(self, sizes: Sequence[float], weights: float = 1.0, **hyper: float) -> np.ndarray:
        """Return the weights before and after each of these multiples of the gradient, one row a time."""
        known = {name: v for name, v in ({"lr": LR, "weight_decay": 0.0} | hyper).items() if self.can(name)}
        # A matrix, because some optimizers step matrices alone.
        start = torch.tensor((weights * self.weights).reshape(3, 4), dtype=torch.float64)
        trial = self.subject.start([start], **known)
        rows = [start.numpy().ravel().copy()]
        for size in sizes:
            trial.step([torch.tensor((size * self.gradient).reshape(3, 4))])
            rows.append(trial.values()[0].numpy().ravel())
        return np.asarray(rows)

    def can(self, name: str) -> bool:
        return self.subject.can_vary(name)

    def step(self, gradient: float = 1.0, weights: float = 1.0, **hyper: float) -> float:
        """Return the length of the first step."""
        before, after = self.run([gradient], weights, **hyper)
        return float(np.linalg.norm(after - before))

    def power(self, size: Callable[[float], float]) -> float | None:
        """Return the exponent of a power law through three sizes; ``None`` where they vanish."""
        try:
            return _slope({c: size(c) for c in FACTORS})
        except (CannotVaryError, SubjectError):
            return None

    def spread(self) -> float | None:
        """Return the spread of the first step over that of the gradient, on a log scale."""
        before, after = self.run([1.0])
        moved = np.abs(after - before)
        if not np.all(moved > 0) or not np.all(np.isfinite(moved)):
            return None
        return float(math.log(moved.max() / moved.min()) / math.log(16.0))

    def decay(self) -> tuple[str, float | None, float | None, float | None]:
        """Return where decay acts at zero gradient, and its power law."""
        if not (self.can("weight_decay") and self.can("lr")):
            return "not measured", None, None, None
        try:
            lost = self._shares(LR, WEIGHT_DECAY)
        except (CannotVaryError, SubjectError):
            return "not measured", None, None, None
        if not np.any(lost):
            return "none", None, None, None
        if np.ptp(lost) > 1e-6 * np.max(np.abs(lost)):
            return "gradient", None, None, None
        size = float(np.mean(lost))
        p = _slope({c: abs(float(np.mean(self._shares(LR * c / 16, WEIGHT_DECAY)))) for c in FACTORS})
        q = _slope({c: abs(float(np.mean(self._shares(LR, WEIGHT_DECAY * c / 16)))) for c in FACTORS})
        if p is None or q is None:
            return "weights", None, p, q
        return "weights", size / (LR**p * WEIGHT_DECAY**q), p, q

    def _shares(self, lr: float, weight_decay: float) -> np.ndarray:
        before, after = self.run([0.0], lr=lr, weight_decay=weight_decay)
        return np.asarray(1.0 - after / before)

    def series(self, sizes: list[float]) -> tuple[float, ...]:
        """Return the lengths of the steps along the first one, as shares of it."""
        moved = np.diff(self.run(sizes), axis=0)
        first = float(moved[0] @ moved[0])
        return tuple(float(row @ moved[0] / first) for row in moved) if first > 0 else ()

    def equilibrium(self) -> tuple[float | None, float | None]:
        """Return norm and rotation of a scale-invariant weight; its gradients are tangent noise / norm."""
        if not (self.can("weight_decay") and self.can("lr")):
            return None, None
        size, steps, settle = (int(EQUILIBRIUM[k]) for k in ("size", "steps", "settle"))
        lr, weight_decay = EQUILIBRIUM["lr"], EQUILIBRIUM["weight_decay"]
        start = self.noise.normal(size=(16, size // 16))
        try:
            trial = self.subject.start([torch.tensor(start)], lr=lr, weight_decay=weight_decay)
            norms, turns = [], []
            w = trial.parameters[0].detach().numpy().ravel().copy()
            for t in range(steps):
                norm = float(np.linalg.norm(w))
                xi = self.noise.normal(size=size) / math.sqrt(size)
                across = (xi - w * float(xi @ w) / norm**2) / norm
                trial.step([torch.tensor(across.reshape(start.shape))])
                now = trial.parameters[0].detach().numpy().ravel().copy()
                if t >= settle:
                    norms.append(norm)
                    turns.append(_angle(w, now))
                w = now
        except (CannotVaryError, SubjectError, ValueError, ZeroDivisionError, FloatingPointError):
            return None, None
        found = float(np.mean(norms)), float(np.mean(turns) / math.sqrt(2 * lr * weight_decay))
        return found if all(map(math.isfinite, found)) else (None, None)


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle of two vectors by the chord; the cosine of a small angle has lost its digits."""
    chord = np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b))
    return float(2.0 * np.arcsin(min(1.0, float(chord) / 2.0)))


def _slope(sizes: Mapping[float, float]) -> float | None:
    if not all(math.isfinite(v) and v > 0 for v in sizes.values()):
        return None
    x, y = np.log(list(sizes)), np.log(list(sizes.values()))
    return float(np.polyfit(x, y, 1)[0])
