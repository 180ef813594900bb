"""A rule in parts: each tensor is stepped by one of several rules, with factors of lr and weight decay.

Language models are trained like this: Muon steps the matrices of the blocks and AdamW the rest, weight decay
acts on matrices only, and the gradient of all tensors together is clipped to a norm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ilr_check.optim.modelled import MODELLED
from ilr_check.optim.rules import OF_EVERY_RUN, Array, Columns, Rule, State

FACTORS = ("lr", "weight_decay")
"""The hyper-parameters of a run that a part multiplies by a factor of its own."""
CLIP_EPS = 1e-6
"""``torch.nn.utils.clip_grad_norm_`` adds it to the norm."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some of the tensors of a net and the rule that steps them.

    ``tensors`` are patterns of names as in a shell. ``hyper`` are hyper-parameters of this part: ``lr`` and
    ``weight_decay`` are factors of those of the run, and any other is used in place of the rule's default or,
    as ``momentum``, of the run's.
    """

    name: str
    rule: Rule
    tensors: tuple[str, ...] = ("*",)
    hyper: Mapping[str, float] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, float]:
        """The hyper-parameters of the part by their names in ``Runs.hyper``: "part.beta2", for example."""
        values = {**dict.fromkeys(FACTORS, 1.0), **self.rule.defaults, **self.hyper}
        return {f"{self.name}.{key}": value for key, value in values.items()}

    def columns(self, columns: Columns) -> Columns:
        """Return the hyper-parameters of the part's own rule."""
        own = {key.removeprefix(f"{self.name}."): columns[key] for key in self.defaults}
        return {**columns, **own, **{key: columns[key] * own[key] for key in FACTORS}}


@dataclass(frozen=True, eq=False)
class Composed(Rule):
    """A rule of parts. A tensor belongs to the first part with a pattern that fits its name.

    With ``clips`` the gradient of all tensors together is scaled down to the norm ``max_norm``, a
    hyper-parameter of the run, as ``torch.nn.utils.clip_grad_norm_`` does it.
    """

    parts: tuple[Part, ...] = ()
    clips: bool = False
    rules: tuple[Rule, ...] = ()
    """For each part, its rule on the coefficients of all parts."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the rules of all parts."""
        return frozenset(part.rule.name for part in self.parts)

    def with_lr(self, columns: Columns, change: Callable[[Array], Array]) -> dict[str, Array]:
        """Return the hyper-parameters with the learning rate of each part changed; that of the run is 1."""
        changed = {f"{part.name}.lr": change(np.asarray(part.columns(columns)["lr"])) for part in self.parts}
        return {**columns, **changed, "lr": np.ones_like(columns["lr"])}

    def part_of(self, name: str) -> int:
        """Return the number of the part of a tensor. Raises ``ValueError`` if there is none."""
        for number, part in enumerate(self.parts):
            if any(fnmatchcase(name, pattern) for pattern in part.tensors):
                return number
        raise ValueError(f"no part of the rule {self.name!r} has a pattern for the tensor {name!r}")

    def of(self, name: str) -> Rule:
        """Return the rule of the part of this tensor."""
        return self.rules[self.part_of(name)]

    def columns_of(self, name: str, columns: Columns) -> Columns:
        """Return the hyper-parameters of the part of this tensor."""
        return self.parts[self.part_of(name)].columns(columns)

    def limited(self, gradients: dict[str, Tensor], coefficients: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the gradients, clipped together if the rule clips."""
        if not self.clips:
            return gradients
        norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients.values()]
        total = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        factor = (coefficients[-1] / (total + CLIP_EPS)).clamp(max=1.0)
        return {name: g * factor.reshape(-1, *[1] * (g.dim() - 1)) for name, g in gradients.items()}


def composed(name: str, *parts: Part, max_norm: float | None = None) -> Composed:
    """Return the rule of these parts; with ``max_norm`` it clips, and this is the default of the run's
    value.

    Raises ``ValueError`` if two parts have the same name.
    """
    if len({part.name for part in parts}) < len(parts):
        raise ValueError(f"the rule {name!r} has two parts of one name; give each part its own")
    defaults = {key: value for part in parts for key, value in part.defaults.items()}
    if max_norm is not None:
        defaults["max_norm"] = max_norm
    # The numbers of coefficients are those of one step of one run.
    sample = {key: np.full((1, 1), 0.5) for key in (*defaults, *OF_EVERY_RUN)}
    ends = np.cumsum([0, *(len(part.rule.coefficients(part.columns(sample))) for part in parts)])
    places = [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def coefficients(columns: Columns) -> tuple[Array, ...]:
        found = [c for part in parts for c in part.rule.coefficients(part.columns(columns))]
        return (*found, *([] if max_norm is None else [columns["max_norm"]]))

    def never(w: Tensor, g: Tensor, state: State, c: tuple[Tensor, ...]) -> tuple[Tensor, State]:
        raise TypeError("a rule of parts steps a tensor by its name; use of(name).step")

    longest = max((part.rule.slots for part in parts), key=len, default=())
    return Composed(
        name,
        coefficients,
        never,
        slots=longest,
        defaults=defaults,
        parts=parts,
        clips=max_norm is not None,
        rules=tuple(_on(part.rule, place) for part, place in zip(parts, places, strict=True)),
    )


def _on(rule: Rule, place: slice) -> Rule:
    """Return a rule that finds its coefficients at a place among those of all parts."""

    def step(w: Tensor, g: Tensor, state: State, c: tuple[Tensor, ...]) -> tuple[Tensor, State]:
        return rule.step(w, g, state, c[place])

    return replace(rule, step=step)


GAINS = ("*.gain",)
ENDS = ("embedding.*", "head.*")


@lru_cache(maxsize=64)
def for_language_models(rule: str, *, max_norm: float | None = 1.0) -> Composed:
    """Return the usual recipe with one of ``adamw``, ``lion``, ``heavy-ball``, ``sgd`` or ``muon``.

    The parts are ``matrices`` (inside the blocks), ``ends`` (embedding and head) and ``gains``, which have no
    weight decay. Muon steps the first, and AdamW the two others. AdamW has beta2 = 0.95.
    """
    hyper = {"beta2": 0.95} if rule == "adamw" else {}
    rest = "adamw" if rule == "muon" else rule
    of_rest = {"beta2": 0.95} if rest == "adamw" else {}
    return composed(
        rule,
        Part(name="gains", rule=MODELLED[rest], tensors=GAINS, hyper={**of_rest, "weight_decay": 0.0}),
        Part(name="ends", rule=MODELLED[rest], tensors=ENDS, hyper=of_rest),
        Part(name="matrices", rule=MODELLED[rule], hyper=hyper),
        max_norm=max_norm,
    )
