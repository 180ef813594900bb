"""Scaling the weights by a is undone by a power of a on each argument of the optimizer, bit for bit."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ilr_check.claims.exact.checks.scaling import paths_agree, shift
from ilr_check.claims.exact.checks.stepwise import steps_agree
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of, settings
from ilr_check.data import TeacherStudentSpec
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.optim.specs import OptimizerSpec, implementations
from ilr_check.optim.symmetry import CONFIGURATIONS, Symmetry, symmetry_of
from ilr_check.train.loop import Setting

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXT = ClaimText(
    id="optimizer-symmetry",
    title="Each optimizer has its powers of the weights' scale",
    statement=(
        "Multiply the initial weights by a, the learning rate by a^p, the weight decay by a^q and every "
        "eps by a^r, with the powers of the optimizer's contract. Then the functions are the same at every "
        "step. Whole runs agree bit for bit for a = 2^k. For any a, one step from the same weights agrees "
        "within a rounding bound. The claim covers every optimizer of torch.optim, each of its "
        "implementations, and Lion."
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
        "The optimizer has a constant with a scale of its own (an eps that is not an argument, a clip), "
        "its decay is coupled otherwise than its contract says, or one of its implementations differs from "
        "the others."
    ),
    blind="any change that keeps the powers: other betas, another bias correction, or twice the decay.",
)


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting, an optimizer with a contract, and the factor a on the weights."""

    setting: Setting
    optimizer: OptimizerSpec
    a: float

    def __post_init__(self) -> None:
        if not 2.0**-8 <= self.a <= 2.0**8 or self.a == 1.0:
            raise ValueError(
                f"a={self.a} must be within [2^-8, 2^8] and not 1; powers of two compare bitwise"
            )
        symmetry = symmetry_of(self.optimizer)
        if symmetry.exception:
            raise ValueError(f"{self.optimizer.name} has no symmetry: {symmetry.exception}")

    @property
    def bitwise(self) -> bool:
        """Whether a is a power of two, so that nothing is rounded."""
        return math.frexp(self.a)[0] == 0.5


def check(example: Scaling) -> Outcome:
    """Compare both scales: bit by bit over the whole run for a = 2^k, else step by step within a bound."""
    setting, optimizer, a = example.setting, example.optimizer, example.a
    symmetry, worst = symmetry_of(optimizer), Worst()
    if optimizer.implementation not in implementations(optimizer.name, setting.device):
        return Outcome(skipped=f"skipped: no {optimizer.implementation} {optimizer.name} on {setting.device}")
    if example.bitwise:
        steps, skipped = paths_agree(setting, optimizer, symmetry, a, worst)
    else:
        steps, skipped = steps_agree(setting, optimizer, symmetry, a, worst), ""
    for name, argument in (("weight decay", "weight_decay"), ("lr", "lr")):
        # Without decay, and where the optimizer takes none, its power cannot show.
        if argument != "weight_decay" or (setting.hyper.weight_decay and optimizer.takes(argument)):
            residual = shift(setting, optimizer, off_by_one(symmetry, argument), a)
            worst.add_rival(f"{name} off by one power", residual, 1.0)
    for name, residual in controls().items():
        worst.add_rival(name, residual, 1.0)
    events = (
        f"optimizer: {_row_of(optimizer)}",
        f"implementation: {optimizer.implementation}",
        f"compared: {'bitwise' if example.bitwise else 'step by step'}",
    )
    return worst.outcome(steps=steps, events=(*events_of(setting), *events), skipped=skipped)


def off_by_one(symmetry: Symmetry, argument: str) -> Symmetry:
    """Return the contract with a wrong power of one argument."""
    first: Any = symmetry.first_phase
    return msgspec.structs.replace(
        symmetry,
        arguments={**symmetry.arguments, argument: symmetry.arguments.get(argument, 0) + 1},  # type: ignore[operator]
        first_phase={**first, **({argument: first[argument] + 1} if argument in first else {})},
    )


def small_setting(*, steps: int, device: Any = "cpu") -> Setting:
    """Return a BatchNorm net of two layers that any optimizer can train."""
    return Setting(
        net=MLPSpec(inputs=6, widths=(5, 4), classes=3),
        data=TeacherStudentSpec(inputs=6, classes=3),
        hyper=HyperParams(lr=0.1, weight_decay=0.1, batch_size=16, steps=steps),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
        device=device,
    )


@lru_cache(maxsize=1)
def controls() -> dict[str, float]:
    """Measure how far optimizers without the expected symmetry turn on one small net, over u.

    The degree of RAdam's first steps differs from that of its later ones, and so does that of L-BFGS's first
    step. Adadelta has the powers of SGD, because its ratio of roots has degree 0.
    """
    setting = small_setting(steps=8)
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


_POWERS = (2.0, 0.5, 4.0, 0.25, 8.0, 0.125)
"""Muon is compared at powers of two only. Its Newton-Schulz iteration in bfloat16 multiplies a rounding by up
to 3.44^5 = 485, so that a worst case in units of 2^-9 would mean nothing."""


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
            a=st.sampled_from(_POWERS if matrices else (*_POWERS, 1.7, 0.6, 3.3, 0.1)),
        )

    return optimizers().flatmap(with_net)


LAW = ExactLaw(
    text=TEXT,
    example_type=Scaling,
    examples=_examples,
    check=check,
    real=lambda profile: (),
    quantity="difference of the paths / unit roundoff, or of a step / rounding bound",
)
CLAIM = LAW.claim()
