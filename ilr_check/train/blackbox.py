"""Any ``torch.optim.Optimizer`` in a fleet: its own ``step()``, on storage that the fleet owns.

How an optimizer treats many tensors is unknown. So before it may step several runs at once, it is tried on
three runs for three steps, and compared with one optimizer per run. Only a layout that agrees with that to
the last bit is used; the fastest is tried first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ilr_check.train.noise import Weights
from ilr_check.train.settings import Settings

Layout = Literal["stacked", "shared", "separate"]
LAYOUTS: tuple[Layout, ...] = ("stacked", "shared", "separate")
MEANING: dict[Layout, str] = {
    "stacked": "one optimizer steps the stacked tensors, because it treats each entry alone",
    "shared": "one optimizer steps the tensors of all runs, because it treats each tensor alone",
    "separate": "one optimizer per run, because it mixes tensors or the other layouts could not be tried",
}

TRIED_RUNS, TRIED_STEPS = 3, 3


@dataclass(frozen=True)
class BlackBox:
    """An optimizer that is only called: ``factory(parameters)``.

    ``names`` maps hyper-parameters of ``Runs`` to keys of ``param_groups``, which are set before a step
    whenever they change. ``layout`` ``None`` tries which layout is exact, and a named layout skips the trial.
    Raises ``ValueError`` for an unknown layout.
    """

    factory: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]
    names: Mapping[str, str] = field(default_factory=lambda: {"lr": "lr", "weight_decay": "weight_decay"})
    layout: Layout | None = None

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in LAYOUTS:
            raise ValueError(
                f"layout={self.layout!r}: must be one of {', '.join(LAYOUTS)}, or None to find out"
            )


class Stepper:
    """An optimizer, or one per run, on the first ``used`` lanes of stacked weights and gradients."""

    def __init__(
        self,
        box: BlackBox,
        weights: Weights,
        grads: Weights,
        settings: Settings,
        *,
        used: int,
        layout: Layout,
        random: Sequence[int] | None = None,
    ) -> None:
        members = _members(layout, settings.of_lane[:used])
        self._groups: list[_Group] = []
        self._optimizers: list[torch.optim.Optimizer] = []
        self._homes: list[tuple[nn.Parameter, _Slot]] = []
        for setting, lanes in members:
            slots = [
                _Slot(w if lanes is None else w[i], grads[name] if lanes is None else grads[name][i])
                for i in (lanes if lanes is not None else (0,))
                for name, w in weights.items()
            ]
            parameters = [nn.Parameter(slot.home) for slot in slots]
            if layout == "shared" and self._optimizers:
                self._optimizers[0].add_param_group({"params": parameters})
                mine = self._optimizers[0].param_groups[-1:]
            else:
                self._optimizers.append(box.factory(parameters))
                mine = self._optimizers[-1].param_groups
            if layout == "shared" and len(mine) > 1 and len(members) > 1:
                raise ValueError("the factory makes several param_groups from one list of parameters")
            self._homes += zip(parameters, slots, strict=True)
            self._groups.append(_Group(mine, setting))
        self._changes = _changes(box, self._groups, settings)
        self._states = None if random is None else [_rng_state(seed) for seed in random[: len(members)]]
        self._restore()

    def step(self, t: int) -> None:
        """Let the optimizer step from the gradients in storage, with the settings of step t."""
        for group, key, value in self._changes.get(t, ()):
            group[key] = value
        if self._states is None:
            for optimizer in self._optimizers:
                optimizer.step()
        else:
            self._step_with_own_randomness()
        self._restore()

    def _step_with_own_randomness(self) -> None:
        assert self._states is not None
        with torch.random.fork_rng(devices=[]):
            for i, optimizer in enumerate(self._optimizers):
                torch.random.set_rng_state(self._states[i])
                optimizer.step()
                self._states[i] = torch.random.get_rng_state()

    def _restore(self) -> None:
        """Bring weights and gradients back to their storage if the optimizer has replaced them."""
        for p, slot in self._homes:
            if p.data_ptr() != slot.address:
                slot.home.copy_(p.detach())
                p.data = slot.home
            if p.grad is not slot.grad:
                p.grad = slot.grad


class _Slot:
    """The storage of one parameter and of its gradient."""

    def __init__(self, home: Tensor, grad: Tensor) -> None:
        self.home, self.grad, self.address = home, grad, home.data_ptr()


@dataclass(frozen=True)
class _Group:
    groups: Sequence[dict[str, Any]]
    setting: int


def _members(layout: Layout, setting_of: Any) -> list[tuple[int, tuple[int, ...] | None]]:
    """Return (setting, lanes) for each param group or optimizer. ``None`` means all lanes, stacked."""
    if layout == "stacked":
        return [(int(setting_of[0]), None)]
    if layout == "separate":
        return [(int(setting), (i,)) for i, setting in enumerate(setting_of)]
    return [
        (int(setting), tuple(int(i) for i in np.flatnonzero(setting_of == setting)))
        for setting in np.unique(setting_of)
    ]


def _changes(
    box: BlackBox, groups: Sequence[_Group], settings: Settings
) -> dict[int, list[tuple[dict[str, Any], str, float]]]:
    """Return, by step, the values to set in param groups."""
    changes: dict[int, list[tuple[dict[str, Any], str, float]]] = {}
    for name, key in box.names.items():
        for member in groups:
            values = settings.distinct[name][:, member.setting]
            moments = [0, *(int(t) + 1 for t in np.flatnonzero(values[1:] != values[:-1]))]
            for group in member.groups:
                if key not in group:
                    if not values.any():
                        continue
                    raise ValueError(
                        f"the optimizer has no {key!r} in its param_groups, so {name} cannot be set; "
                        "it has "
                        f"{', '.join(sorted(set(group) - {'params'})) or 'nothing'}; see BlackBox.names"
                    )
                for t in moments:
                    changes.setdefault(t, []).append((group, key, float(values[t])))
    return changes


def _rng_state(seed: int) -> Tensor:
    return torch.Generator().manual_seed(seed).get_state()


@dataclass(frozen=True)
class Trial:
    """The layout that was found exact, whether the optimizer draws random numbers, and why no faster layout
    is used."""

    layout: Layout
    random: bool
    reason: str


def find_layout(box: BlackBox, shapes: Weights, settings: Settings) -> Trial:
    """Try the layouts, from the fastest down, on small stacks of the net's own shapes.

    Raises ``ValueError`` if even one optimizer per run does not do the same on the fleet's storage as on its
    own.
    """
    tried = _trial_settings(settings)
    stream = _stream(shapes)
    before = torch.random.get_rng_state()
    try:
        expected = _alone(box, stream, tried)
    except ValueError as error:
        raise ValueError(f"the optimizer cannot step in a fleet: {error}") from error
    except Exception as error:
        raise ValueError(
            f"the optimizer cannot step in a fleet: {type(error).__name__}: {error}; it must step from "
            "gradients alone, without a closure"
        ) from error
    drawn = not torch.equal(before, torch.random.get_rng_state())
    reasons = []
    for layout in LAYOUTS:
        torch.random.set_rng_state(before)
        if (box.layout or layout) != layout:
            continue
        if layout == "stacked" and settings.count > 1:
            reasons.append("stacked: the runs differ in their settings")
            continue
        if layout != "separate" and drawn:
            reasons.append(f"{layout}: the optimizer draws random numbers, and each run must have its own")
            continue
        try:
            found = _in_layout(box, stream, tried, layout)
        except Exception as error:
            reasons.append(f"{layout}: {type(error).__name__}: {error}")
            continue
        finally:
            torch.random.set_rng_state(before)
        if all(torch.allclose(found[n], w, rtol=0.0, atol=0.0, equal_nan=True) for n, w in expected.items()):
            return Trial(layout, drawn, "; ".join(reasons))
        reasons.append(f"{layout}: the weights are not those of an optimizer of one run alone")
    raise ValueError(
        f"the optimizer cannot be used in a fleet: {'; '.join(reasons)}; train its runs one by one instead"
    )


def _trial_settings(settings: Settings) -> Settings:
    """Return three runs with the settings of the first three different runs, each at its median over the
    steps.

    An lr that warms up from 0 would show nothing, and one that grows without bound would show too much, so
    the median is used.
    """
    middles = {name: np.median(column, axis=0) for name, column in settings.distinct.items()}
    middles["lr"] = np.where(middles["lr"] > 0, middles["lr"], 1e-3)
    distinct = {name: np.broadcast_to(m, (TRIED_STEPS, len(m))) for name, m in middles.items()}
    return Settings(distinct, np.arange(TRIED_RUNS, dtype=np.intp) % settings.count)


def _stream(shapes: Weights) -> list[Weights]:
    """Return initial weights and the gradients of each step for three runs, whose sizes differ by a factor of
    100."""
    generator = torch.Generator().manual_seed(0)

    def draw(like: Tensor) -> Tensor:
        size = (TRIED_RUNS, *like.shape[1:])
        sizes = 10.0 ** torch.arange(-1, TRIED_RUNS - 1).reshape(-1, *[1] * (like.dim() - 1))
        drawn = torch.randn(size, generator=generator, dtype=torch.float64) * sizes
        return drawn.to(dtype=like.dtype, device=like.device)

    return [{name: draw(w) for name, w in shapes.items()} for _ in range(1 + TRIED_STEPS)]


def _in_layout(box: BlackBox, stream: list[Weights], settings: Settings, layout: Layout) -> Weights:
    weights = {name: w.clone() for name, w in stream[0].items()}
    grads = {name: torch.empty_like(w) for name, w in weights.items()}
    with torch.no_grad():
        stepper = Stepper(box, weights, grads, settings, used=TRIED_RUNS, layout=layout)
        for t, drawn in enumerate(stream[1:]):
            for name, g in grads.items():
                g.copy_(drawn[name])
            stepper.step(t)
    return weights


def _alone(box: BlackBox, stream: list[Weights], settings: Settings) -> Weights:
    """Return the same for one optimizer per run, on parameters of its own, as in a plain PyTorch loop."""
    runs = []
    for run in range(TRIED_RUNS):
        parameters = [nn.Parameter(w[run].clone()) for w in stream[0].values()]
        optimizer = box.factory(parameters)
        changes = _changes(box, [_Group(optimizer.param_groups, int(settings.of_lane[run]))], settings)
        runs.append((optimizer, changes, parameters))
    for t, drawn in enumerate(stream[1:]):
        for run, (optimizer, changes, parameters) in enumerate(runs):
            for group, key, value in changes.get(t, ()):
                group[key] = value
            for p, g in zip(parameters, drawn.values(), strict=True):
                p.grad = g[run].clone()
            optimizer.step()
    return {
        name: torch.stack([parameters[k].detach() for _, _, parameters in runs])
        for k, name in enumerate(stream[0])
    }
