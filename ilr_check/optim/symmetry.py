"""How each optimizer responds to w -> a w on a scale-invariant loss: a power of a for every argument.

The gradient of a scale-invariant loss scales as 1/a. Multiply each argument by its power of a, and each entry
of the state by its own power. The optimizer has the symmetry if this multiplies the new weights by a. The
path through function space is then the same, bit for bit for a = 2^k. If the update has degree h in the
gradient (1 for SGD, 0 for a sign or a quotient), lr has the power 1 + h. Decay that is added to the gradient
has the power -2, and decoupled decay has minus the power of lr. An eps has the power of what it is added to.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from ilr_check.optim.specs import OptimizerSpec

Power = int | tuple[int, ...]
"""A power of a. An argument that is a tuple has one power per entry."""


class Symmetry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The powers of a for the arguments of the constructor and for the entries of the state, by name.

    Names that are absent have power 0. ``first_phase`` replaces powers during the first steps of an optimizer
    that changes its update after them; ``first_phase_steps`` counts these steps. ``exception`` says why there
    is no symmetry. The powers are then the nearest attempt, which must fail.
    """

    arguments: dict[str, Power]
    state: dict[str, int] = {}
    first_phase: dict[str, Power] = {}
    gradient_powers: int = 1
    """The highest power of the gradient that a step forms. Where it underflows, the symmetry is lost."""
    gradient_floor: float = 0.0
    """Entries of the gradient below it reach a constant for which no power is right."""
    computes_in: Literal["", "bfloat16"] = ""
    """A dtype that a step goes through, whatever the dtype of the weights is. Its range limits the symmetry
    too."""
    mixes: bool = False
    """Whether the step of an entry depends on the other entries of its tensor."""
    exception: str = ""

    @property
    def lr(self) -> int:
        """The power p of lr -> a^p lr."""
        return self._plain("lr")

    @property
    def weight_decay(self) -> int:
        """The power q of weight_decay -> a^q weight_decay."""
        return self._plain("weight_decay")

    @property
    def coupled(self) -> bool:
        """Whether the decay is part of the gradient and scales like it: q = -2."""
        return self.weight_decay == -2

    @property
    def eps(self) -> Power:
        """The power r of eps -> a^r eps."""
        return self.arguments.get("eps", 0)

    def powers(self, *, first_phase: bool = False) -> dict[str, Power]:
        """Return the powers of the arguments, in the first phase or after it."""
        return {**self.arguments, **(self.first_phase if first_phase else {})}

    def rates(self, a: float, *, first_phase: bool = False) -> tuple[float, float]:
        """Return the factors of lr and weight decay."""
        powers = self.powers(first_phase=first_phase)
        lr, decay = powers.get("lr", 0), powers.get("weight_decay", 0)
        assert isinstance(lr, int)
        assert isinstance(decay, int)
        return a**lr, a**decay

    def scaled(self, optimizer: OptimizerSpec, a: float) -> OptimizerSpec:
        """Return the optimizer whose arguments, except lr and weight decay, are multiplied by their powers of
        a.

        Defaults are written out if they have a power. The result is exact if a is a power of two.
        """
        args = dict(optimizer.args)
        for name in self.arguments:
            if name not in ("lr", "weight_decay") and optimizer.takes(name):
                args[name] = self.multiplied(name, optimizer.argument(name), a)
        return msgspec.structs.replace(optimizer, args=args)

    def multiplied(self, name: str, value: Any, a: float) -> Any:
        """Return the value of an argument, multiplied by its power of a."""
        return _times(value, a, self.arguments.get(name, 0))

    def state_factor(self, key: str, a: float) -> float:
        """Return the factor of an entry of the state."""
        return a ** self.state.get(key, 0)

    def _plain(self, name: str) -> int:
        power = self.arguments.get(name, 0)
        assert isinstance(power, int)
        return power


def symmetry_of(optimizer: OptimizerSpec) -> Symmetry:
    """Return the symmetry of an optimizer, by its class and by whether its decay is decoupled from the
    gradient.

    Raises ``ValueError`` if the table has no such row.
    """
    for row in CONFIGURATIONS.values():
        if row.optimizer.name == optimizer.name and _decoupled(row.optimizer) == _decoupled(optimizer):
            return row.symmetry
    raise ValueError(f"{optimizer!r} has no row in the table; known are {', '.join(CONFIGURATIONS)}")


def _decoupled(optimizer: OptimizerSpec) -> bool:
    if optimizer.takes("decoupled_weight_decay"):
        return bool(optimizer.argument("decoupled_weight_decay"))
    return optimizer.name == "AdamW"


def _times(value: Any, a: float, power: Power) -> Any:
    if isinstance(value, tuple):
        powers = power if isinstance(power, tuple) else (power,) * len(value)
        return tuple(entry * a**each for entry, each in zip(value, powers, strict=True))
    assert isinstance(power, int)
    return value * a**power if power else value


def first_phase_steps(optimizer: OptimizerSpec) -> float:
    """Return how many steps ``Symmetry.first_phase`` lasts. Only RAdam has one, while rho_t <= 5.

    rho_t = rho_inf - 2 t b2^t / (1 - b2^t) with rho_inf = 2 / (1 - b2) - 1 (Liu et al. 2020). In these steps
    the update is lr m, of degree 1 in the gradient, and afterwards lr m / sqrt(v), of degree 0. The result is
    infinite for beta2 <= 2/3.
    """
    if optimizer.name != "RAdam":
        return 0
    b2 = optimizer.argument("betas")[1]
    limit = 2.0 / (1.0 - b2) - 1.0
    if limit <= 5.0:
        return math.inf
    step = 1
    while limit - 2.0 * step * b2**step / (1.0 - b2**step) <= 5.0:
        step += 1
    return step - 1


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the table: an optimizer with the arguments that give it this behaviour, and its symmetry."""

    optimizer: OptimizerSpec
    symmetry: Symmetry
    matrices_only: bool = False
    """Whether it refuses tensors that are not matrices, such as convolutions and biases."""


_MOMENTS = {"exp_avg": -1, "exp_avg_sq": -2, "max_exp_avg_sq": -2}
_EPS = 2.0**-7
"""A large eps, so that its power matters. The default of 1e-8 would hide a wrong power."""

_SGD = Symmetry(arguments={"lr": 2, "weight_decay": -2}, state={"momentum_buffer": -1})
_ADAM = Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1}, state=_MOMENTS, gradient_powers=2)
_ADAMW = Symmetry(arguments={"lr": 1, "weight_decay": -1, "eps": -1}, state=_MOMENTS, gradient_powers=2)
_RMSPROP = Symmetry(
    arguments={"lr": 1, "weight_decay": -2, "eps": -1},
    state={"square_avg": -2, "grad_avg": -1},
    gradient_powers=2,
)
_MUON = Symmetry(
    arguments={"lr": 1, "weight_decay": -1, "eps": -1},
    state={"momentum_buffer": -1},
    computes_in="bfloat16",
    mixes=True,
)


def _radam(decoupled: bool) -> Symmetry:
    return Symmetry(
        arguments={"lr": 1, "weight_decay": -1 if decoupled else -2, "eps": -1},
        state=_MOMENTS,
        first_phase={"lr": 2, "weight_decay": -2},
        gradient_powers=2,
    )


def _row(
    optimizer: str, symmetry: Symmetry, *, matrices_only: bool = False, **args: Any
) -> tuple[str, dict[str, Any], Symmetry, bool]:
    return optimizer, args, symmetry, matrices_only


_ROWS: dict[str, tuple[str, dict[str, Any], Symmetry, bool]] = {
    "SGD": _row("SGD", _SGD),
    "SGD momentum": _row("SGD", _SGD, momentum=0.9),
    "SGD dampening": _row("SGD", _SGD, momentum=0.9, dampening=0.5),
    "SGD Nesterov": _row("SGD", _SGD, momentum=0.9, nesterov=True),
    "Adam": _row("Adam", _ADAM, eps=_EPS),
    "Adam amsgrad": _row("Adam", _ADAM, eps=_EPS, amsgrad=True),
    "Adam decoupled": _row("Adam", _ADAMW, eps=_EPS, decoupled_weight_decay=True),
    "AdamW": _row("AdamW", _ADAMW, eps=_EPS),
    "AdamW amsgrad": _row("AdamW", _ADAMW, eps=_EPS, amsgrad=True),
    "NAdam": _row("NAdam", _ADAM, eps=_EPS),
    "NAdam decoupled": _row("NAdam", _ADAMW, eps=_EPS, decoupled_weight_decay=True),
    "RAdam": _row("RAdam", _radam(False), eps=_EPS, betas=(0.9, 0.999)),
    "RAdam decoupled": _row("RAdam", _radam(True), eps=_EPS, betas=(0.9, 0.999), decoupled_weight_decay=True),
    "Adamax": _row(
        "Adamax",
        Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1}, state={"exp_avg": -1, "exp_inf": -1}),
        eps=_EPS,
    ),
    "RMSprop": _row("RMSprop", _RMSPROP, eps=_EPS),
    "RMSprop momentum": _row("RMSprop", _RMSPROP, eps=_EPS, momentum=0.9),
    "RMSprop centered": _row("RMSprop", _RMSPROP, eps=_EPS, centered=True, momentum=0.9),
    "Adagrad": _row(
        "Adagrad",
        Symmetry(
            arguments={"lr": 1, "weight_decay": -2, "eps": -1, "initial_accumulator_value": -2},
            state={"sum": -2},
            gradient_powers=2,
        ),
        eps=_EPS,
        initial_accumulator_value=2.0**-6,
        lr_decay=0.01,
    ),
    # Every quantity under a root has degree -2, so the ratio of roots has degree 0, and the update has that
    # of g.
    "Adadelta": _row(
        "Adadelta",
        Symmetry(
            arguments={"lr": 2, "weight_decay": -2, "eps": -2},
            state={"square_avg": -2, "acc_delta": -2},
            gradient_powers=2,
        ),
        eps=_EPS,
    ),
    "ASGD": _row(
        "ASGD",
        Symmetry(arguments={"lr": 2, "weight_decay": -2, "lambd": -2}, state={"eta": 2, "ax": 1}),
        lambd=2.0**-8,
        t0=3.0,
    ),
    "Rprop": _row(
        "Rprop",
        Symmetry(arguments={"lr": 1, "step_sizes": 1}, state={"prev": -1, "step_size": 1}, gradient_powers=2),
        step_sizes=(2.0**-10, 1.0),
    ),
    # eps[0] is a lower bound of a mean of squares, and its square is one of a variance. No single power fits
    # both, so eps[0] is too small to matter, except for a gradient that is rounding: 2^-28 is above sqrt(8
    # eps[0]) at a = 1/8.
    "Adafactor": _row(
        "Adafactor",
        Symmetry(
            arguments={"eps": (-1, 1)},
            state={"row_var": -2, "col_var": -2, "variance": -2},
            gradient_powers=4,
            gradient_floor=2.0**-28,
            mixes=True,
        ),
        eps=(2.0**-60, 2.0**-10),
    ),
    "Muon": _row("Muon", _MUON, matrices_only=True),
    "Muon without Nesterov": _row("Muon", _MUON, matrices_only=True, nesterov=False, momentum=0.9),
    "Lion": _row("Lion", Symmetry(arguments={"lr": 1, "weight_decay": -1}, state={"exp_avg": -1})),
    "Lion coupled": _row(
        "Lion",
        Symmetry(arguments={"lr": 1, "weight_decay": -2}, state={"exp_avg": -1}),
        decoupled_weight_decay=False,
    ),
    "LBFGS": _row(
        "LBFGS",
        Symmetry(
            arguments={},
            exception=(
                "the first step is lr min(1, 1 / |g|_1) g, of degree 0 or 1 as |g|_1 is above or below 1, "
                "and the later ones are of degree -1"
            ),
        ),
        max_iter=1,
    ),
}

LEFT_OUT = {"SparseAdam": "takes sparse gradients only, and no layer in front of a norm has them"}
"""Classes of torch.optim without a row, with the reason."""


def _configurations() -> dict[str, Configuration]:
    found = {}
    for name, (kind, args, symmetry, matrices_only) in _ROWS.items():
        try:
            optimizer = OptimizerSpec(name=kind, args=args)
        except ValueError:  # an older torch has no Muon, or no decoupled decay in Adam
            continue
        found[name] = Configuration(optimizer=optimizer, symmetry=symmetry, matrices_only=matrices_only)
    return found


CONFIGURATIONS = _configurations()
"""Every optimizer of the installed torch, and Lion, in each form that has powers of its own."""
