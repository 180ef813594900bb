"""The stated rule beside the steps of a training: how far each step is from that of the rule."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.optim.rules import Rule, State
from ilr_check.train.noise import Weights, dot
from ilr_check.train.settings import Settings
from ilr_check.train.steps import shaped

ROUNDINGS = 6
"""The roundings of a new weight. Each is relative to the terms before anything cancels."""


class Comparison:
    """The distance of the steps of a chunk of runs from those of ``rule`` at the stated ``settings``.

    The rule makes each step once more from the weights, the gradients and the state before it, and with the
    stated learning rate, whatever a world makes of it. So an error of one step does not enter the next one.
    ``same_program`` says that the rule itself made the steps, uncompiled, so that even arithmetic that is
    coarser than that of the weights rounds alike.
    """

    def __init__(
        self,
        rule: Rule,
        settings: Settings,
        state: Mapping[str, State],
        chosen: Container[int],
        *,
        same_program: bool = False,
    ) -> None:
        self.chosen = chosen
        """The numbers of the steps that are compared."""
        self._rule, self._of_lane = rule, settings.of_lane
        self._same_program = same_program
        self._state, self._held = state, dict(state)
        self._numbers = rule.coefficients(settings.distinct)
        self._sum: Tensor | None = None
        self._coarse = torch.zeros(())
        self._count = 0

    def hold(self) -> None:
        """Keep the state before a step, which the step may overwrite."""
        self._held = {name: tuple(part.clone() for part in own) for name, own in self._state.items()}

    def see(self, t: int, before: Weights, grads: Weights, after: Weights) -> None:
        """Compare step ``t``. Two distances count, each beyond rounding and as a share of the step's length.

        One is the sum of the absolute differences of all entries. The other one is the difference along the
        weights, where the roundings of the entries have either sign and add up like independent numbers.
        """
        like = next(iter(before.values()))
        row = tuple(
            torch.from_numpy(np.ascontiguousarray(values[t, self._of_lane])).to(like.device, like.dtype)
            for values in self._numbers
        )
        used = self._rule.limited(grads, row)
        found = []
        for name, w in before.items():
            own = self._rule.of(name)
            new, _ = own.step(w, used[name], self._held[name], shaped(row, w))
            step, off = new - w, after[name] - new
            unit = ROUNDINGS * torch.finfo(w.dtype).eps
            beyond = (off.abs() - unit * (w.abs() + step.abs())).clamp(min=0.0).flatten(1).sum(dim=1)
            whole = _share(beyond, step.abs().flatten(1).sum(dim=1))
            inner, room = dot(off, w), unit * dot(w * w, w * w).sqrt()
            along = _share(inner - inner.clamp(-room, room), (dot(w, w) * dot(step, step)).sqrt())
            found.append(torch.stack([whole, along], dim=-1))
        if self._sum is None:
            # Of a rounding in a random direction, 1 / sqrt(entries) lies along the weights.
            coarse = {name: 0.0 if self._same_program else self._rule.of(name).coarseness for name in before}
            rooms = [(size, size * before[name][0].numel() ** -0.5) for name, size in coarse.items()]
            self._coarse = like.new_tensor(rooms, dtype=torch.float64)
        shares = torch.stack(found, dim=1).double()
        self._sum = shares if self._sum is None else self._sum + shares
        self._count += 1

    def strayed(self, used: int) -> NDArray[np.float64]:
        """Return the mean share of the compared steps, for each of the first ``used`` runs, in the worst
        tensor; nan where none was compared, and infinite where the distance of a step is not a number."""
        if self._sum is None:
            return np.full(used, np.nan)
        # Infinite shares of both signs, as of steps that should have no length, leave no number.
        mean = (self._sum[:used].abs() / self._count).nan_to_num(nan=torch.inf, posinf=torch.inf)
        return np.asarray((mean - self._coarse).amax(dim=(1, 2)).clamp(min=0.0).cpu().numpy())


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Return the quotient; 0 / 0 is 0, as where the learning rate is 0."""
    return torch.where(part == 0, 0.0, part / whole)
