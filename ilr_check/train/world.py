"""Worlds: trainings that depart from plain training in a stated way.

A world is an object, or a class without arguments, with any of the attributes below. What is absent is what
plain training does. Tests plant defects through worlds, and so can users, with
``ilr-check verify --world TARGET``.

    gradient(name, gradient, weights, step) -> gradient             after the backward pass
    update(name, weights, gradient, buffer, lr, weight_decay, momentum, step) -> (weights, buffer)
    lr(lr, step) -> lr
    batch(rows, labels, step) -> (rows, labels)
    noise(spec) -> spec                 the added noise of a fleet; ``None`` is none
    net(spec) -> spec                   the net that is trained; its tensors keep their names and shapes
    fraction: float = 1.0               share of the runs to which the world applies, the last of a population
    judged_only: bool = False           True: the noise references are trained as usual
    replaces: tuple = SGD's family      the update rules that ``update`` stands in for, also within a rule in
                                        parts, where it gets the lr and weight decay of the part

Arrays are torch tensors with a leading axis of runs. ``buffer`` is zero before the first step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilr_check.data import NoiseSpec
from ilr_check.optim.sgd import RULES
from ilr_check.optim.target import import_target

HOOKS = ("gradient", "update", "lr", "batch", "noise", "net")
HYPER = ("lr", "weight_decay", "momentum")
"""The hyper-parameters that an update is given, in this order."""


CHANCE = 8.0
"""How many standard deviations of chance the examples of two independent runs may seem to be alike."""
ADDED = 1e-3
"""The share of what a world adds to a gradient below which what is new in it is rounding."""


class WorldError(ValueError):
    """An object cannot be used as a world."""


@dataclass(frozen=True)
class World:
    """A checked world. ``make`` gives a fresh object for each training, so that its memory starts anew."""

    name: str
    make: Callable[[], Any]
    target: str = ""
    """The TARGET that imports it, if it is known."""
    hooks: frozenset[str] = frozenset()
    fraction: float = 1.0
    judged_only: bool = False
    replaces: tuple[str, ...] = tuple(RULES)

    def __reduce__(self) -> tuple[Any, ...]:
        # The classes of a file have no module that another process could import. It loads the file instead.
        if self.target:
            return named_world, (self.target,)
        return World, tuple(getattr(self, own.name) for own in fields(self))

    def changes(self, rules: Collection[str]) -> frozenset[str]:
        """Return the hooks that matter to a training whose tensors are stepped by rules of these names."""
        return self.hooks - {"update"} if set(rules).isdisjoint(self.replaces) else self.hooks

    def departing(self, count: int) -> range:
        """Return the runs, of ``count`` that are trained together, to which the world applies."""
        return range(count - round(self.fraction * count), count)

    def noise(self, spec: NoiseSpec | None) -> NoiseSpec | None:
        """Return the added noise of a fleet in this world."""
        return self.make().noise(spec) if "noise" in self.hooks else spec

    def net(self, spec: Any) -> Any:
        """Return the net that is trained in this world where a claim speaks of the net ``spec``."""
        return self.make().net(spec) if "net" in self.hooks else spec


def world_of(given: Any, target: str = "") -> World:
    """Check a world and wrap it. ``target`` is the TARGET that named it, if there is one.

    Raises ``WorldError`` if the object has no hook, or if a hook or a setting is of the wrong kind.
    """
    if isinstance(given, World):
        return given
    title = getattr(given, "name", "") or getattr(given, "__name__", type(given).__name__)
    try:
        sample = given() if isinstance(given, type) else given
    except TypeError as error:
        raise WorldError(f"world {title!r} cannot be made without arguments: {error}") from error
    hooks = frozenset(hook for hook in HOOKS if getattr(sample, hook, None) is not None)
    wrong = [hook for hook in hooks if not callable(getattr(sample, hook))]
    if wrong:
        raise WorldError(f"world {title!r}: {wrong[0]} is not callable; make it a method")
    if not hooks:
        raise WorldError(
            f"world {title!r} changes nothing: it has none of {', '.join(HOOKS)}; define at least one"
        )
    fraction = getattr(sample, "fraction", 1.0)
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0.0 < fraction <= 1.0:
        raise WorldError(f"world {title!r}: fraction={fraction!r}; give a share of the runs in (0, 1]")

    return World(
        name=title,
        make=partial(_fresh, given),
        target=target,
        hooks=hooks,
        fraction=float(fraction),
        judged_only=bool(getattr(sample, "judged_only", False)),
        replaces=tuple(getattr(sample, "replaces", tuple(RULES))),
    )


def _fresh(given: Any) -> Any:
    return given() if isinstance(given, type) else copy.deepcopy(given)


def named_world(target: str) -> World:
    """Import the world that a TARGET names. Raises ``TargetError`` or ``WorldError``."""
    return world_of(import_target(target, what="world"), target)


class DepartingSGD(torch.optim.SGD):
    """SGD in a world, for the runs of one net that exact claims judge.

    ``names`` are the names of the parameters, in order. Without names they are numbered.
    """

    def __init__(self, params: Any, world: World, **hyper: Any) -> None:
        super().__init__(params, **hyper)
        self._visit = Visit(world, torch.ones(1, dtype=torch.bool), {"sgd"})
        self._step = 0
        self.names: list[str] = []

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Step with the gradients, learning rates and updates that the world makes."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        names = self.names or [str(number) for number in range(len(parameters))]
        before = [p.clone() for p in parameters]
        promised = [group["lr"] for group in self.param_groups]
        for p, name in zip(parameters, names, strict=True):
            if p.grad is not None:
                p.grad.copy_(self._visit.gradient(name, p.grad[None], p[None], self._step)[0])
        for group in self.param_groups:
            lr = torch.tensor([group["lr"]], dtype=torch.float64)
            group["lr"] = float(self._visit.lr(lr, self._step)[0])
        loss = super().step(closure)
        numbered = iter(zip(names, before, strict=True))
        for group in self.param_groups:
            for p in group["params"]:
                name, was = next(numbered)
                if p.grad is not None:
                    values = (torch.as_tensor(group[of], dtype=torch.float64) for of in HYPER)
                    shape = (1, *[1] * p.dim())
                    hyper = tuple(value.to(p).reshape(shape) for value in values)
                    given = (was[None], p.grad[None], p[None])
                    p.copy_(self._visit.update(name, *given, hyper, self._step)[0])  # type: ignore[arg-type]
        for group, lr in zip(self.param_groups, promised, strict=True):
            group["lr"] = lr
        self._step += 1
        return loss


class SeenAlike:
    """Which runs of a training see the same examples, at one step or one step apart."""

    def __init__(self) -> None:
        self._examples, self._count = 0, 0
        self._before: Tensor | None = None
        self._sums: list[Tensor] = []

    def note(self, rows: Tensor) -> None:
        """Note the examples of a step, [R, batch]. A batch of all examples is no choice, and counts for none.

        A batch that all runs see again does not count once more.
        """
        self._examples = max(self._examples, int(rows.max()) + 1)
        counts = torch.zeros(len(rows), self._examples, device=rows.device)
        counts.scatter_add_(1, rows, torch.ones_like(rows, dtype=counts.dtype))
        now = torch.nn.functional.normalize(counts - counts.mean(dim=1, keepdim=True), dim=1)
        missing = self._examples - (self._examples if self._before is None else self._before.shape[1])
        before = now if self._before is None else torch.nn.functional.pad(self._before, (0, missing))
        if self._before is not None and torch.equal(before, now):
            return
        # In the first step there is none before it.
        found = [
            now @ now.T,
            now @ before.T if self._before is not None else now.new_zeros(len(now), len(now)),
        ]
        self._sums = [a + b for a, b in zip(self._sums, found, strict=True)] if self._sums else found
        self._before, self._count = now, self._count + 1

    def keep(self, count: int) -> None:
        """Go on with the first ``count`` runs alone."""
        self._before = None if self._before is None else self._before[:count]
        self._sums = [total[:count, :count] for total in self._sums]

    def cosines(self) -> list[Tensor]:
        """Return the mean cosine of the examples of each two runs; 0 where it may be chance.

        Of independent batches from N examples it is about 1 / sqrt(N T) after T steps.
        """
        chance = CHANCE * (max(self._examples, 1) * max(self._count, 1)) ** -0.5
        means = [total / self._count for total in self._sums]
        return [torch.where(mean.abs() > chance, mean, 0.0) for mean in means]


def _largest(cosines: list[Tensor], used: int) -> float:
    """Return the largest size of the cosines of two of the first ``used`` runs, [R, R]."""
    pairs = [c[:used, :used].abs().fill_diagonal_(0.0) for c in cosines if used > 1]
    return max((float(c.max()) for c in pairs), default=0.0)


class Visit:
    """One training of some lanes in a world. ``lanes`` [R] says to which lanes the world applies."""

    def __init__(self, world: World, lanes: Tensor, rules: Collection[str]) -> None:
        self._hooks = world.changes(rules)
        self._world, self._object = world, world.make()
        self._scheduled = False
        self._lanes, self._all = lanes, bool(lanes.all())
        self._buffers: dict[str, Any] = {}
        self._leaked: dict[str, Tensor] = {}
        self._alike: Tensor | None = None
        self._additions = 0
        self._seen = SeenAlike()
        self.off_the_rule = 0.0
        """The largest distance of a step of ``note_step`` from that of SGD, over what rounding may do."""

    def note_step(self, w: Tensor, gradient: Tensor, new: Tensor, lr: Tensor, weight_decay: Tensor) -> None:
        """Note how far a step of one tensor, [R, ...], is from w - lr (g + wd w), where g is the gradient of
        the loss and lr is the stated one.

        At most 6 roundings an entry, each relative to the terms before anything cancels.
        """
        terms = (w, lr * gradient, lr * weight_decay * w)
        off = (new - (terms[0] - terms[1] - terms[2])).abs()
        bound = 6.0 * torch.finfo(w.dtype).eps * sum(term.abs() for term in terms)
        worst = float((off / (bound + torch.finfo(w.dtype).tiny)).max())
        self.off_the_rule = max(self.off_the_rule, worst)

    @property
    def count(self) -> int:
        """The number of lanes that are still trained."""
        return len(self._lanes)

    def leaked(self, name: str, steps: int) -> Tensor:
        """Return the share along the weights of what the world adds to the gradients of a tensor, [R].

        It is the mean over ``steps``, whether they are recorded or not.
        """
        return self._leaked.get(name, torch.zeros(len(self._lanes))) / steps

    def shared(self, used: int) -> float:
        """Return how much the world makes two runs alike, of the first ``used``: the largest cosine of what
        it adds to their gradients, or of the examples that they see.

        It is the mean over all steps and tensors. What lies along a run's own gradient or weights, such as a
        factor, does not count.
        """
        added = [] if self._alike is None else [self._alike / self._additions]
        return max(_largest(added, used), self.examples_alike(used))

    def examples_alike(self, used: int) -> float:
        """Return the largest cosine of the examples that two runs see, of the first ``used``."""
        return _largest(self._seen.cosines(), used)

    def _note_addition(self, name: str, changed: Tensor, gradient: Tensor, weights: Tensor) -> None:
        w, g, off = (x.flatten(1) for x in (weights, gradient, changed - gradient))
        along = (off * w).sum(dim=1).abs()
        length = changed.flatten(1).norm(dim=1) * w.norm(dim=1)
        share = torch.where(along == 0, 0.0, along / length)
        self._leaked[name] = share + self._leaked.get(name, 0.0)
        size = off.norm(dim=1, keepdim=True)
        for own in (w, g):
            unit = torch.nn.functional.normalize(own, dim=1)
            off = off - (off * unit).sum(dim=1, keepdim=True) * unit
        own = torch.where(off.norm(dim=1, keepdim=True) > ADDED * size, off, 0.0)
        own = torch.nn.functional.normalize(own, dim=1)
        alike = own @ own.T
        self._alike = alike if self._alike is None else self._alike + alike
        self._additions += 1

    def keep(self, count: int) -> None:
        """Go on with the first ``count`` lanes alone."""
        self._lanes = self._lanes[:count]
        self._leaked = {name: share[:count] for name, share in self._leaked.items()}
        self._alike = None if self._alike is None else self._alike[:count, :count]
        self._buffers = {name: buffer[:count] for name, buffer in self._buffers.items()}
        self._seen.keep(count)

    def has(self, hook: str) -> bool:
        """Return whether the world has this hook."""
        return hook in self._hooks

    def replaces(self, rule: str) -> bool:
        """Return whether the world's ``update`` stands in for the rule of this name."""
        return self.has("update") and rule in self._world.replaces

    def lr(self, lr: Tensor, step: int) -> Tensor:
        """Return the learning rate of each lane, [R]. Call it once per step, in order."""
        return self._chosen(self._object.lr(lr, step), lr, "lr") if self.has("lr") else lr

    def schedule(self, lr: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the learning rates of all steps and lanes, [steps, R].

        A rule in parts has several schedules. Each of them is seen by an object with a memory of its own, the
        first one by that which also sees gradients and updates.
        """
        seen_by = self._world.make() if self._scheduled else self._object
        self._scheduled = True
        rows = [torch.from_numpy(row.copy()) for row in lr]
        found = [self._chosen(seen_by.lr(row.clone(), step), row, "lr") for step, row in enumerate(rows)]
        return torch.stack(found).numpy()

    def batch(self, rows: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the examples of a step and their labels (-1 keeps the label), each [R, batch]."""
        if not self.has("batch"):
            return rows, labels
        new_rows, new_labels = self._object.batch(rows, labels, step)
        chosen = self._chosen(new_rows, rows, "batch")
        self._seen.note(chosen)
        return chosen, self._chosen(new_labels, labels, "batch")

    def gradient(self, name: str, gradient: Tensor, weights: Tensor, step: int) -> Tensor:
        """Return the gradient of one tensor, [R, ...]."""
        if not self.has("gradient"):
            return gradient
        # They are copies, because a world that writes into its arguments must not change the runs outside the
        # world.
        changed = self._object.gradient(name, gradient.clone(), weights.clone(), step)
        changed = self._chosen(changed, gradient, "gradient")
        self._note_addition(name, changed, gradient, weights)
        return changed

    def update(
        self,
        name: str,
        weights: Tensor,
        gradient: Tensor,
        plain: Tensor,
        hyper: tuple[Tensor, Tensor, Tensor],
        step: int,
    ) -> Tensor:
        """Return the new weights of one tensor, [R, ...]; ``plain`` are those of the rule itself.

        ``hyper`` is (lr, weight decay, momentum), each broadcastable to the weights.
        """
        if not self.has("update"):
            return plain
        buffer = self._buffers.get(name)
        buffer = torch.zeros_like(weights) if buffer is None else buffer
        changed, after = self._object.update(name, weights.clone(), gradient.clone(), buffer, *hyper, step)
        self._buffers[name] = after
        return self._chosen(changed, plain, "update")

    def _chosen(self, changed: Tensor, plain: Tensor, hook: str) -> Tensor:
        if not isinstance(changed, Tensor) or changed.shape != plain.shape:
            found = tuple(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
            raise WorldError(
                f"{hook} of the world gave {found} where a tensor of shape {tuple(plain.shape)} is needed; "
                "keep the leading axis of runs"
            )
        changed = changed.to(plain)
        if self._all:
            return changed
        lanes = self._lanes.to(plain.device).reshape(-1, *[1] * (plain.dim() - 1))
        return torch.where(lanes, changed, plain)
