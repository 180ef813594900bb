"""The paper's recipe in full size: PreResNet-32 on CIFAR-10, for a GPU, in the profile ``paper`` only."""

from __future__ import annotations

import msgspec

from ilr_check.claims.claim import Profile, Workload
from ilr_check.claims.settings.nets import FOUR_LAYERS
from ilr_check.data import Cifar10EpochsSpec, cifar
from ilr_check.nets.specs import NetSpec, PreResNetSpec
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Drops
from ilr_check.train.loop import Setting


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The net, settings and times in epochs of Li, Malladi, Arora 2021 and of the paper's five schedules.

    Images are not shifted, mirrored or standardised. The laws hold for any images; the test accuracy of the
    paper does not. ``per_file`` is the number of images in each file of the data. ``runs`` is the size of a
    population, the smallest by which a mean is judged.
    """

    net: PreResNetSpec = PreResNetSpec(image=(3, 32, 32), widths=(16, 32, 64), blocks=5, classes=10)
    per_file: int = cifar.REAL
    batch_size: int = 128
    lr: float = 0.8
    weight_decay: float = 5e-4
    drops: tuple[int, int, int] = (80, 120, 160)
    """The epochs at which the LR falls to a tenth, and the last epoch."""
    equal_from: int = 500
    """Up to this epoch each run of the figure has its own schedule."""
    flow_from: int = 1000
    """From this epoch on the LR is a tenth, and there is no weight decay."""
    end: int = 1050
    runs: int = 32
    initial_norm: float = 6.0
    """The initial norm of every tensor. The usual initial norm is the root of the number of outputs, 4 to
    8."""

    def steps(self, epochs: int) -> int:
        """Return the number of steps of so many epochs."""
        return epochs * (5 * self.per_file // self.batch_size)

    def data(self) -> Cifar10EpochsSpec | None:
        """Return CIFAR-10 in the folder that the user named, or None."""
        folder = cifar.named_folder()
        return None if folder is None else Cifar10EpochsSpec(folder=str(folder), per_file=self.per_file)


RECIPE = Recipe()

EVALUATIONS = 3
"""The backward passes of a step whose rounding is bounded: that of the step, and twice as much for the
bound."""


def is_full_size(net: NetSpec) -> bool:
    """Return whether populations of a net take hours, so that their cost is predicted before they start."""
    return isinstance(net, PreResNetSpec) or net == FOUR_LAYERS


def workload_of(example: object) -> Workload | None:
    """Return what a claim about single steps trains, where that is a net in full size."""
    if not isinstance(example, Setting) or not is_full_size(example.net):
        return None
    return Workload(
        net=example.net,
        data=example.data,
        batch_size=example.hyper.batch_size,
        steps=EVALUATIONS * example.hyper.steps,
        runs=1,
        most_runs=1,
        dtype=example.dtype,
    )


def full_size_settings(profile: Profile, *, momentum: float) -> tuple[tuple[str, Setting], ...]:
    """Return one epoch of the recipe, with the LR falling half-way, for the exact laws of single steps."""
    recipe = RECIPE
    data = recipe.data() if profile == "paper" else None
    if data is None:
        return ()
    steps = recipe.steps(1)
    hyper = HyperParams(
        lr=recipe.lr * (1.0 - momentum),
        weight_decay=recipe.weight_decay,
        momentum=momentum,
        batch_size=recipe.batch_size,
        steps=steps,
        seed=1,
    )
    setting = Setting(
        net=recipe.net,
        data=data,
        hyper=hyper,
        lr_schedule=Drops(period=-(-steps // 2), factor=0.1),
        decay_schedule=Constant(),
    )
    return (("PreResNet-32 on CIFAR-10", setting),)
