"""Scaling the weights by a is undone by a power of a on each argument of the optimizer, bit for bit."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ilr_check.claims.exact import ExactLaw, Outcome, Worst
from ilr_check.claims.experiments.scaling import paths_agree, shift
from ilr_check.claims.experiments.worlds import events_of, settings
from ilr_check.data import TeacherStudentSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.optim.symmetry import CONFIGURATIONS, Symmetry, symmetry_of
from ilr_check.train.loop import Setting

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="optimizer-symmetry",
    title="Each optimizer has its powers of the weights' scale",
    statement=(
        "Scaling the initial weights by a, lr by a^p, weight decay by a^q and every eps by a^r, with the "
        "powers of the optimizer's record, gives the same functions at every step; bitwise for a = 2^k, for "
        "every optimizer of torch.optim and each of its implementations, and for Lion."
    ),
    equation="(w₀, η, λ, ε) ≡ (a·w₀, aᵖη, a^q λ, aʳε)",
    source="theory of homogeneous updates: p = 1 + h, q = -p decoupled or -2 coupled, r = -1",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=(
        "weight decay off by one power",
        "lr off by one power",
        "RAdam with one power throughout",
        "Adadelta with Adam's powers",
        "L-BFGS with one power",
    ),
    meaning=(
        "The optimizer has a constant with a scale of its own (an eps that is not an argument, a clip), its "
        "decay is coupled otherwise than its record says, or one of its implementations differs from it."
    ),
)


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting, an optimizer with a record, and a = 2^power."""

    setting: Setting
    optimizer: OptimizerSpec
    power: int

    def __post_init__(self) -> None:
        if not 1 <= abs(self.power) <= 8:
            raise ValueError(f"power={self.power} must be within [-8, 8] and not 0; a = 2^power")
        symmetry = symmetry_of(self.optimizer)
        if symmetry.exception:
            raise ValueError(f"{self.optimizer.name} has no symmetry: {symmetry.exception}")


def check(example: Scaling) -> Outcome:
    """Train at both scales; every loss, weight and entry of the state must agree to the last bit."""
    setting, optimizer = example.setting, example.optimizer
    a, symmetry = 2.0**example.power, symmetry_of(optimizer)
    worst = Worst()
    steps, skipped = paths_agree(setting, optimizer, symmetry, a, worst)
    for name, argument in (("weight decay", "weight_decay"), ("lr", "lr")):
        # Without decay, and where the optimizer takes none, its power cannot show.
        if argument != "weight_decay" or (setting.hyper.weight_decay and optimizer.takes(argument)):
            residual = shift(setting, optimizer, _off_by_one(symmetry, argument), a)
            worst.add_rival(f"{name} off by one power", residual, 1.0)
    for name, residual in controls().items():
        worst.add_rival(name, residual, 1.0)
    events = (f"optimizer: {_row_of(optimizer)}", f"implementation: {optimizer.implementation}")
    return worst.outcome(steps=steps, events=(*events_of(setting), *events), skipped=skipped)


def _off_by_one(symmetry: Symmetry, argument: str) -> Symmetry:
    first: Any = symmetry.first_phase
    return msgspec.structs.replace(
        symmetry,
        arguments={**symmetry.arguments, argument: symmetry.arguments.get(argument, 0) + 1},  # type: ignore[operator]
        first_phase={**first, **({argument: first[argument] + 1} if argument in first else {})},
    )


@lru_cache(maxsize=1)
def controls() -> dict[str, float]:
    """Optimizers without the symmetry that one might expect, on one small net: how far they turn, over u.

    RAdam's first steps have another degree than its later ones; Adadelta has the powers of SGD, for its ratio
    of roots has degree 0; the first step of L-BFGS has another degree than its later ones.
    """
    net = MLPSpec(inputs=6, widths=(5, 4), classes=3)
    setting = Setting(
        net=net,
        data=TeacherStudentSpec(inputs=6, classes=3),
        hyper=HyperParams(lr=0.1, weight_decay=0.1, batch_size=16, steps=8),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
    )
    radam, adadelta, lbfgs = (CONFIGURATIONS[name] for name in ("RAdam", "Adadelta", "LBFGS"))
    wrong = {
        "RAdam with one power throughout": (
            radam.optimizer,
            msgspec.structs.replace(radam.symmetry, first_phase={}),
        ),
        "Adadelta with Adam's powers": (
            adadelta.optimizer,
            Symmetry(arguments={"lr": 1, "weight_decay": -2, "eps": -1}),
        ),
        "L-BFGS with one power": (lbfgs.optimizer, lbfgs.symmetry),
    }
    return {
        name: shift(setting, optimizer, symmetry, 2.0, steps=8)
        for name, (optimizer, symmetry) in wrong.items()
    }


def _row_of(optimizer: OptimizerSpec) -> str:
    return f"{optimizer.name}{'' if symmetry_of(optimizer).weight_decay != -1 else ' (decoupled)'}"


def _examples() -> SearchStrategy[Scaling]:
    import hypothesis.strategies as st

    from ilr_check.strategies import optimizers

    def with_net(optimizer: OptimizerSpec) -> SearchStrategy[Scaling]:
        matrices = any(
            row.matrices_only for row in CONFIGURATIONS.values() if row.optimizer.name == optimizer.name
        )
        nets: dict[str, Any] = {"nets": ("mlp",), "biases": (False,), "affines": (False,)} if matrices else {}
        return st.builds(
            Scaling,
            setting=settings(momentum=False, **nets),
            optimizer=st.just(optimizer),
            power=st.sampled_from((1, -1, 2, -2, 3, -3)),
        )

    return optimizers().flatmap(with_net)


LAW = ExactLaw(
    text=TEXT,
    example_type=Scaling,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="difference of the paths / unit roundoff",
)
CLAIM = LAW.claim()
