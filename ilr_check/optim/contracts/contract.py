"""A contract states what a family of optimizers promises: a record with a reference implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ilr_check.optim.symmetry import Symmetry

Number = Any
"""A float64 array, or one with its rounding error (``running.Tracked``); both take the same arithmetic."""
Hyper = Mapping[str, Any]
"""Hyper-parameters by the contract's names, such as ``lr`` and ``beta2``."""
State = dict[str, Any]
Update = Callable[[Number, Number, State, Hyper, int], Number]
"""(gradient, weights, state, hyper, t) -> the change of the weights; t starts at 1, the state is changed."""


@dataclass(frozen=True, kw_only=True)
class Decay:
    """Where weight decay acts and how strong it is: ``factor * lr^lr_power * weight_decay^wd_power``.

    ``gradient``: that times the weights is added to the gradient (lr_power 0, for the step multiplies by lr).
    ``before``, ``after``: the weights lose that share of themselves before or after the step.
    ``own``: the step of the reference implementation itself decays, inside a normalisation.
    """

    where: Literal["none", "gradient", "before", "after", "own"]
    lr_power: float = 1.0
    wd_power: float = 1.0
    factor: float = 1.0
    lr_of: Literal["this step", "the step before", "the first step", "the next step"] = "this step"
    shape: Literal["weights", "sign of the weights", "initial weights"] = "weights"

    @property
    def law(self) -> str:
        """Return the strength as a formula, such as ``lr*wd``."""
        parts = [] if self.factor == 1.0 else [f"{self.factor:g}"]
        parts += [_power("lr", self.lr_power), _power("wd", self.wd_power)]
        return "*".join(part for part in parts if part) or "1"


COUPLED = Decay(where="gradient", lr_power=0.0)
DECOUPLED = Decay(where="before")
NO_DECAY = Decay(where="none")


@dataclass(frozen=True, kw_only=True)
class Name:
    """One hyper-parameter: the value it has if nothing else is said, and the names that it goes by.

    A name with an index, ``betas.0``, is one entry of a tuple. Where only what was ``asked`` for counts, the
    target's own default is none of the contract: an Adam that decouples its decay unasked is no Adam.
    """

    default: Any
    names: tuple[str, ...]
    asked: bool = False


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A wrong variant of the reference; where it explains a measured step, its sentence is the diagnosis."""

    sentence: str
    hyper: Hyper = field(default_factory=dict)
    decay: Mapping[str, Any] = field(default_factory=dict)
    lr: Callable[[float, float, float], float] | None = None
    """(this step's lr, the last step's, the first step's) -> the lr that the mutation steps with."""
    shift: int = 0
    """This is added to the step count of the reference implementation."""
    repeat: int = 1
    """Decay beside the gradient is applied this many times."""
    change: Callable[[Hyper], Hyper] | None = None
    """The hyper-parameters that the mutation reads at every step."""
    gradient: Callable[[Number], Number] | None = None
    """The gradient that the mutation reads, before any decay is added."""
    update: Update | None = None
    """This step replaces that of the reference implementation."""
    shared_count: bool = False
    """Whether one step count runs over all tensors."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one family of optimizers promises; see ``families`` for the records."""

    name: str
    title: str
    source: str
    update: Update
    names: Mapping[str, Name]
    decay: Decay
    degree: float | None
    """h in update(c g) = c^h update(g) once eps is negligible; ``None`` where there is no such number."""
    symmetry: Symmetry | None
    momentum: str
    """The form of the memory of gradients, in words."""
    bias_correction: bool = False
    settings: tuple[Hyper, ...] = ({},)
    """Hyper-parameters that reach every branch of the reference; the first one is for quick probes."""
    mutations: tuple[Mutation, ...] = ()
    variations: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The keys of ``declare`` with their allowed values; the first value is the default."""
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """Ids of laws that the family does not obey, with the reason."""
    matrices_only: bool = False
    mixes_entries: bool = False
    """Whether an entry's update depends on other entries of its tensor (norms, factored moments)."""
    gradients: Literal["any", "one a row and column"] = "any"
    """The rounding bound of the reference implementation was derived for these gradients."""
    sparse: bool = False
    """Whether it accepts sparse gradients only."""
    closure: bool = False
    """Whether its step needs a closure, which it may call several times."""
    float32_state: bool = False
    """Whether the family's own scalars may be float32 whatever the weights are."""

    def decay_for(self, hyper: Hyper) -> Decay:
        """Return the decay that these hyper-parameters and declarations choose."""
        decay = self.decay
        if hyper.get("decoupled_weight_decay") and decay.where == "gradient":
            decay = DECOUPLED
        where, law = hyper.get("decay"), hyper.get("decay_law")
        if where is not None:
            decay = {"coupled": COUPLED, "decoupled": DECOUPLED}.get(where) or replace(DECOUPLED, where=where)
        if law is not None:
            powers = {"lr*wd": (1.0, 1.0), "wd": (0.0, 1.0), "lr^2*wd": (2.0, 1.0)}[law]
            decay = replace(decay, lr_power=powers[0], wd_power=powers[1])
        return decay

    def declared(self, declare: Hyper) -> dict[str, Any]:
        """Return the validated declarations; raises ``ValueError`` with what may be declared."""
        every = {**self.variations, **DECAY_VARIATIONS}
        for key, value in declare.items():
            if key not in every:
                raise ValueError(
                    f"{key}={value!r} cannot be declared for contract {self.name!r}; "
                    f"what can: {', '.join(sorted(every)) or 'nothing'}"
                )
            if value not in every[key]:
                allowed = ", ".join(map(repr, every[key]))
                raise ValueError(f"{key}={value!r} cannot be declared for {self.name!r}; allowed: {allowed}")
        return dict(declare)


DECAY_VARIATIONS: dict[str, tuple[Any, ...]] = {
    "decay": ("coupled", "decoupled", "after", "none"),
    "decay_law": ("lr*wd", "wd", "lr^2*wd"),
    "decay_on": ("every tensor", "matrices"),
}
"""Any family may declare these variations: where decay acts, its strength per step, and on what."""


def _power(name: str, power: float) -> str:
    if power == 0:
        return ""
    return name if power == 1 else f"{name}^{power:g}"
