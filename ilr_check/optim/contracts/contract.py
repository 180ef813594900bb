"""A contract states what a family of optimizers promises: a record with a reference implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ilr_check.optim.symmetry import Symmetry

Number = Any
"""A float64 array, or one with its rounding error (``running.Tracked``). The same formulas work for both."""
Hyper = Mapping[str, Any]
"""Hyper-parameters by the contract's names, such as ``lr`` and ``beta2``."""
State = dict[str, Any]
Update = Callable[[Number, Number, State, Hyper, int], Number]
"""(gradient, weights, state, hyper, t) -> the change of the weights. t starts at 1. The function changes the
state in place. It returns ``None`` for a step that moves nothing and leaves decoupled decay out."""


@dataclass(frozen=True, kw_only=True)
class Decay:
    """Where weight decay acts. Its strength is ``factor * lr^lr_power * weight_decay^wd_power``.

    ``gradient``: the strength times the weights is added to the gradient. lr_power is then 0, because the
    step multiplies by lr. ``before``, ``after``: the weights lose this fraction of themselves before or after
    the step. ``own``: the step of the reference implementation applies decay itself, inside a normalisation.
    """

    where: Literal["none", "gradient", "before", "after", "own"]
    lr_power: float = 1.0
    wd_power: float = 1.0
    factor: float = 1.0
    lr_of: str = "this step"
    """Whose lr it is: "this step", "the step before", "the first step", "the next step", or one of
    ``CORRECTIONS``."""
    shape: Literal["weights", "sign of the weights", "initial weights"] = "weights"

    @property
    def law(self) -> str:
        """Return the strength as a formula, such as ``lr*wd``."""
        lr = CORRECTIONS.get(self.lr_of) or _power("lr", self.lr_power)
        parts = [] if self.factor == 1.0 else [f"{self.factor:g}"]
        parts += [lr, _power("wd", self.wd_power)]
        return "*".join(part for part in parts if part) or "1"


CORRECTIONS = {"corrected by the first lr": "lr^2/lr_0", "corrected by the largest lr": "lr^2/lr_max"}
"""Corrected weight decay (Defazio 2025, https://arxiv.org/abs/2506.02285): wd itself follows the schedule of
lr, so that the norms of weights under normalisation layers stay where they are. ``lr_0`` is the lr of the
constructor and ``lr_max`` the largest so far."""
COUPLED = Decay(where="gradient", lr_power=0.0)
DECOUPLED = Decay(where="before")
NO_DECAY = Decay(where="none")
DECOUPLED_WORDS = (
    *("decoupled_weight_decay", "weight_decouple", "decoupled_decay", "decoupled", "decouple"),
    *("decouple_wd", "decoupled_wd", "decouple_weight_decay"),
)
"""The words of released optimizers for the switch that decouples weight decay."""


@dataclass(frozen=True, kw_only=True)
class Name:
    """One hyper-parameter: its default in the contract, and the argument names that optimizers give it.

    A name with an index, ``betas.0``, is one entry of a tuple. If ``asked`` is True, the value counts only
    where the user sets it, and the target's own default is ignored. So an Adam that decouples its decay by
    default breaks the contract of Adam.
    """

    default: Any
    names: tuple[str, ...]
    asked: bool = False


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A wrong variant of the reference implementation. If it explains a measured step, its sentence is the
    diagnosis.
    """

    sentence: str
    hyper: Hyper = field(default_factory=dict)
    decay: Mapping[str, Any] = field(default_factory=dict)
    lr: Callable[[float, float, float], float] | None = None
    """(this step's lr, the last step's, the first step's) -> the lr that the mutation steps with."""
    shift: int = 0
    """The number that is added to the step count of the reference implementation."""
    repeat: int = 1
    """How many times decay before the step is applied."""
    change: Callable[[Hyper], Hyper] | None = None
    """Maps the hyper-parameters to those that the mutation reads at every step."""
    gradient: Callable[[Number], Number] | None = None
    """Maps the gradient to the one that the mutation reads, before any decay is added."""
    update: Update | None = None
    """The step that replaces that of the reference implementation."""
    shared_count: bool = False
    """Whether one step count runs over all tensors."""
    technique: bool = False
    """Whether optimizers do this on purpose. Without a named contract it makes another algorithm."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one family of optimizers promises. The modules beside this one declare the contracts."""

    name: str
    title: str
    source: str
    update: Update
    names: Mapping[str, Name]
    decay: Decay
    degree: float | None
    """The degree h of update(c g) = c^h update(g) where eps is negligible. ``None`` if there is no such
    number."""
    symmetry: Symmetry | None
    momentum: str
    """A description of how the optimizer remembers gradients."""
    bias_correction: bool = False
    settings: tuple[Hyper, ...] = ({},)
    """Hyper-parameters that reach every branch of the reference implementation. Quick probes use the
    first."""
    mutations: tuple[Mutation, ...] = ()
    degrees: Mapping[str, Mapping[Any, float | None]] = field(default_factory=dict)
    """Other degrees without weight decay, by a variation and its value; ``None`` where there is none."""
    variations: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The keys of ``declare`` with their allowed values; the first value is the default."""
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """Ids of laws, or ``law:case``, that the family does not obey, with the reason."""
    matrices_only: bool = False
    mixes_entries: bool = False
    """Whether an entry's update depends on other entries of its tensor (norms, factored moments)."""
    gradients: Literal["any", "one a row and column"] = "any"
    """The gradients for which the rounding bound of the reference implementation was derived."""
    sparse: bool = False
    """Whether the family accepts only sparse gradients."""
    several: bool = False
    """Whether several published algorithms have this name. It alone then makes no optimizer one of them."""
    closure: bool = False
    """Whether a step needs a closure. The step may call it several times."""
    float32_state: bool = False
    """Whether the family's own scalars may be float32 for weights of any dtype."""

    def degree_for(self, declared: Mapping[str, Any]) -> float | None:
        """Return the degree in the gradient under these declared variations."""
        found = [by[declared[name]] for name, by in self.degrees.items() if declared.get(name) in by]
        return found[0] if found else self.degree

    def decay_for(self, hyper: Hyper) -> Decay:
        """Return the decay that these hyper-parameters and declarations choose."""
        decay = self.decay
        if hyper.get("decoupled_weight_decay") and decay.where == "gradient":
            decay = DECOUPLED
        elif hyper.get("decoupled_weight_decay") is False and decay.where == "before":
            decay = COUPLED
        where, law = hyper.get("decay"), hyper.get("decay_law")
        if where is not None:
            decay = {"coupled": COUPLED, "decoupled": DECOUPLED}.get(where) or replace(DECOUPLED, where=where)
        if law is not None:
            power, lr_of = DECAY_LAWS[law]
            decay = replace(decay, lr_power=power, wd_power=1.0, lr_of=lr_of)
        return decay

    def declared(self, declare: Hyper) -> dict[str, Any]:
        """Return the checked declarations. Raises ``ValueError`` that lists what may be declared."""
        every = {**self.variations, **DECAY_VARIATIONS}
        for key, value in declare.items():
            if key not in every:
                raise ValueError(
                    f"{key}={value!r} cannot be declared for contract {self.name!r}; "
                    f"declare one of {', '.join(sorted(every))}"
                )
            if value not in every[key]:
                allowed = ", ".join(map(repr, every[key]))
                raise ValueError(f"{key}={value!r} cannot be declared for {self.name!r}; allowed: {allowed}")
        return dict(declare)


DECAY_LAWS = {
    "lr*wd": (1.0, "this step"),
    "wd": (0.0, "this step"),
    "lr^2*wd": (2.0, "this step"),
    **{f"{formula}*wd": (1.0, lr_of) for lr_of, formula in CORRECTIONS.items()},
}
"""The strengths of decay per step that can be declared: the power of lr, and whose lr it is."""
DECAY_VARIATIONS: dict[str, tuple[Any, ...]] = {
    "decay": ("coupled", "decoupled", "after", "none"),
    "decay_law": tuple(DECAY_LAWS),
    "decay_on": ("every tensor", "matrices"),
}
"""The variations that every family allows: where decay acts, its strength per step, and on which tensors."""


def _power(name: str, power: float) -> str:
    if power == 0:
        return ""
    return name if power == 1 else f"{name}^{power:g}"
