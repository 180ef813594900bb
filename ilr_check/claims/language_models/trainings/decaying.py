"""Trainings whose lr decays to 0, with the usual and with corrected weight decay."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.language_models.trainings.hidden import LanguageRuns, LanguageTraining, norm_path
from ilr_check.claims.language_models.trainings.readings import Logs, logs, norms_from_noise

Array = NDArray[np.float64]
Decay = Literal["usual", "corrected"]

WINDOW = 20
"""The mean over this many steps before the decay of lr is the old value."""
BLOCKS = 5
"""The decay of lr is cut into so many blocks, and a curve has the mean over each of them."""
LEAVES = 0.1
"""The norm has left equilibrium where its log is this much above that of the current lr's equilibrium."""
KINDS: tuple[Decay, ...] = ("usual", "corrected")
OTHER: dict[Decay, Decay] = {"usual": "corrected", "corrected": "usual"}
"""The population whose noise predicts the gradients of a population."""


class Tail(LanguageTraining, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``before`` steps with ``lr``, and ``decay`` steps in which it goes to 0 on a straight line."""

    before: int
    decay: int
    gradients: bool
    """Whether the gradient norms are judged too, beside the norms and the noise, of which they are made."""

    @property
    def steps(self) -> int:
        """Steps of one run."""
        return self.before + self.decay

    def factors(self) -> Array:
        """Return lr over its largest value at each step. The last one is 1 / decay."""
        return np.concatenate([np.ones(self.before), 1.0 - np.arange(self.decay) / self.decay])

    def decays(self, which: Decay, power: float = 1.0) -> Array:
        """Return weight decay at each step; the corrected one falls as lr, to ``power``."""
        return np.asarray(self.weight_decay * self.factors() ** (power if which == "corrected" else 0.0))

    def log_norm(self, which: Decay, factor: float = 1.0, power: float = 1.0) -> Array:
        """Return log of the norm at each step, over its value before, in theory.

        ``factor`` multiplies the weight decay, and ``power`` is that of lr in the corrected one.
        """
        lr, wd = self.lr * self.factors(), factor * self.decays(which, power)
        path = norm_path(self.rule, self.net.width, lr, wd)[:-1]
        return np.asarray(0.5 * np.log(path / path[0]))

    def log_equilibrium(self) -> Array:
        """Return log of the norm at each step if it were always at the equilibrium of the current
        lr: r^2 is proportional to lr, and r^4 with SGD."""
        power = 0.25 if self.rule == "sgd" else 0.5
        return np.asarray(power * np.log(self.factors()))

    def blocks(self, rows: Array) -> Array:
        """Return the means of [steps, ...] over each block of the decay of lr."""
        parts = np.array_split(rows[self.before :], BLOCKS)
        return np.stack([part.mean(axis=0) for part in parts])

    def grown(self, rows: Array) -> Array:
        """Return logarithms [steps, ...] less their mean over the window before the decay of lr."""
        return np.asarray(rows - rows[self.before - WINDOW : self.before].mean(axis=0))

    def where_it_leaves(self, log_norm: Array) -> float:
        """Return the share of the decay of lr after which a log norm [steps] is no longer at the
        equilibrium of the current lr; 1 if it always is."""
        beyond = (log_norm - self.log_equilibrium())[self.before :] > LEAVES
        return float(beyond.argmax() / len(beyond)) if beyond.any() else 1.0


class TailRuns(LanguageRuns):
    """The runs with the usual and with corrected weight decay; each predicts the noise of the other."""

    def __init__(self, spec: Tail, lab: Lab) -> None:
        super().__init__(spec, lab)
        self.tail = spec
        lr, factors = spec.lr * spec.factors(), spec.factors()
        scales = self.at_equilibrium(spec.lr, spec.weight_decay)
        self.populations: dict[Decay, Population] = {
            which: self.settled(
                f"{which} weight decay", lr, spec.decays(which), scales, rest=factors, record_every=1
            )
            for which in KINDS
        }

    def logs(self, which: Decay, names: tuple[str, ...], n: int) -> Logs:
        """Return logs of the norms and the gradients of a population."""
        return logs(self.populations[which], names, n)

    def log_predicted(self, which: Decay, names: tuple[str, ...], n: int) -> Array:
        """Return log of the norms that theory predicts from the old norms on, [steps, matrices, n].

        With SGD a norm goes where the noise of the other population leads it. The last of the other runs
        stands beside the first judged one, so that what is wrong with the same runs of both populations does
        not cancel.
        """
        spec = self.tail
        norm = self.logs(which, names, n).norm
        old = (norm - spec.grown(norm))[:1]
        if spec.rule != "sgd":
            return np.asarray(old + spec.log_norm(which)[:, None, None])
        others = self.logs(OTHER[which], names, n)
        path = norms_from_noise(others, spec.lr * spec.factors(), spec.decays(which))
        return np.asarray(old + spec.grown(path)[..., ::-1])

    def log_noise(self, which: Decay, names: tuple[str, ...], n: int) -> Array:
        """Return log of the noise, mean over the matrices, [steps, n]."""
        found = self.logs(which, names, n)
        return np.asarray((found.norm + found.gradient).mean(axis=1))

    def log_gradients(self, which: Decay, names: tuple[str, ...], n: int) -> Array:
        """Return log of the gradient norm less its prediction, mean over the matrices, [blocks, n].

        It is predicted by the noise of the other runs, paired as above, and by the predicted norm.
        """
        gradient = self.logs(which, names, n).gradient + self.log_predicted(which, names, n)
        noise = self.log_noise(OTHER[which], names, n)[:, ::-1]
        return self.tail.blocks(gradient.mean(axis=1) - noise)

    def log_norms(self, which: Decay, names: tuple[str, ...], n: int) -> Array:
        """Return log of each norm less its prediction, [blocks, matrices, n]."""
        return self.tail.blocks(self.logs(which, names, n).norm - self.log_predicted(which, names, n))

    def grown(self, which: Decay, names: tuple[str, ...], n: int) -> Logs:
        """Return logs of norm and gradient over their old values, means over matrices and runs, [steps]."""
        return Logs(*(self.tail.grown(rows.mean(axis=(1, 2))) for rows in self.logs(which, names, n)))
