"""Step the same short path twice: both must agree bit for bit, however the second one is interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ilr_check.gate.law import Circumstances
from ilr_check.gate.reference.trajectory import probing_gradients
from ilr_check.gate.subject import Subject
from ilr_check.gate.trial import Trial
from ilr_check.gate.variation import built_with, option_words, varied_options

SHAPES = ((3, 4), (3, 4), (2, 3))
"""Two tensors have one shape, so that state kept by shape shows."""
LR, WEIGHT_DECAY = 0.1, 0.2


@dataclass(frozen=True, eq=False)
class Path:
    """A path has a start, gradients and hyper-parameters."""

    subject: Subject
    hyper: Mapping[str, Any]
    starts: Sequence[Tensor]
    gradients: Sequence[Sequence[Tensor]]

    def begin(self) -> Trial:
        """Return a fresh optimizer at the start."""
        return self.subject.start([start.clone() for start in self.starts], **self.hyper)

    def advance(self, trial: Trial, first: int, last: int) -> Trial:
        """Take the steps ``first`` to ``last`` - 1."""
        for t in range(first, last):
            trial.step(self.gradients[t])
        return trial

    def ends(self) -> list[Tensor]:
        """Return the weights after the whole path without an interruption."""
        return self.advance(self.begin(), 0, len(self.gradients)).values()


def paths(subject: Subject, circumstances: Circumstances, *, steps: int = 6) -> dict[str, Path]:
    """Return one path for each setting of the contract; without one, a second with other options."""
    cases = [(subject.words(setting), subject, setting) for setting in subject.settings]
    if subject.contract is None and (options := varied_options(subject)):
        cases.append((option_words(options), built_with(subject, options), {}))
    found = {}
    for words, driven, setting in cases:
        rng = circumstances.generator(str(setting) if driven is subject else words)
        starts = [subject.tensor(rng.uniform(0.5, 2.0, size=shape)) for shape in SHAPES]
        drawn = probing_gradients(subject.contract, rng, SHAPES, steps)
        gradients = [[subject.tensor(g) for g in row] for row in drawn]
        found[words] = Path(driven, {**setting, **rates(subject)}, starts, gradients)
    return found


def rates(subject: Subject) -> dict[str, float]:
    """Return lr and wd, as far as the target lets us set them."""
    every = {"lr": LR, "weight_decay": WEIGHT_DECAY}
    return {name: value for name, value in every.items() if subject.can_vary(name)}


def difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the largest difference of an entry; infinite where only one of the two is not a number."""
    worst = 0.0
    for a, b in zip(one, other, strict=True):
        if a.shape != b.shape:
            return float("inf")
        off = (a.double() - b.double()).abs()
        unequal = ~((a == b) | (a.isnan() & b.isnan()))
        if bool(unequal.any()):
            size = float(off[unequal].max())
            worst = max(worst, size if size == size else float("inf"))
    return worst
