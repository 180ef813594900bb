"""The exact and the mean-field law on more data: MNIST-5k, and MNIST and CIFAR-10 where the user has them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.course import CourseQuestion, Phase, ScheduledTraining
from ilr_check.claims.settings import full_size
from ilr_check.claims.settings.nets import FOUR_LAYERS
from ilr_check.data import Cifar10Spec, Mnist5kSpec, MnistSpec, mnist
from ilr_check.data.cifar import PIXELS, named_folder
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import MLPSpec

TEXT = ClaimText(
    id="larger-data",
    title="More data, the same laws",
    statement=(
        "On 5000 images of MNIST, and on all of MNIST and CIFAR-10 where the user names their folders, the "
        "norm follows its recursion step by step, and the noise of other runs predicts it through a drop of "
        "the learning rate."
    ),
    equation="‖w′‖² = a²‖w‖² + η²‖g‖²;  γ′ = (a²γ + G²)²/γ",
    source="Li, Lyu, Arora 2020, sections 2 and 5; reviewers' questions on larger data sets",
    kind="statistical",
    chapter="function-space",
    groups=("function-space",),
    rivals=("rate 2 lambda_e", "rate 8 lambda_e"),
    meaning=(
        "On these data weight decay and gradient do not balance as the learning rate and the weight decay "
        "say."
    ),
    blind=(
        "how well the nets classify, and whether other amounts of data need other times to be learned: "
        "theory is about norms and angles for any data. ImageNet was not run here."
    ),
)


def courses(profile: Profile, seed: int) -> Sequence[ScheduledTraining]:
    """Return a BatchNorm MLP on MNIST-5k, and on MNIST and CIFAR-10 if their folders are named.

    In ``paper`` its nets are there too.
    """
    quick = profile == "quick"
    phases = (Phase(steps=60 if quick else 600), Phase(steps=150 if quick else 1800, start=0.2, end=0.2))
    widths = (24,) if quick else (64, 64)
    weight_decay, burn_in = (0.064, 80) if quick else (0.016, 400)

    def course(title: str, inputs: int, data: Mnist5kSpec | MnistSpec | Cifar10Spec) -> ScheduledTraining:
        return ScheduledTraining(
            title=title,
            net=MLPSpec(inputs=inputs, widths=widths, classes=10),
            data=data,
            phases=phases,
            weight_decay=weight_decay,
            burn_in=burn_in,
            looks=(64, 128, 256),
        )

    found = [course("MNIST-5k", 784, Mnist5kSpec(label_noise=0.5))]
    whole = mnist.named_folder()
    if whole is not None:
        found.append(course("MNIST", 784, mnist.mnist_spec(whole, label_noise=0.5)))
    folder = named_folder()
    if folder is not None:
        per_file = full_size.RECIPE.per_file
        data = Cifar10Spec(folder=str(folder), label_noise=0.5, per_file=per_file)
        found.append(course("CIFAR-10", PIXELS, data))
    return [*found, *_full_size(found[0])] if profile == "paper" else found


def _full_size(small: ScheduledTraining) -> list[ScheduledTraining]:
    """Return the paper's four-layer CNN in full size on the same MNIST, and its recipe on CIFAR-10.

    Nets of this size were not run here, so the design has no planned standard deviation. Where that of the
    runs is too large for so few runs, the verdict is ``inconclusive``.
    """
    cnn = msgspec.structs.replace(
        small, title="MNIST-5k, four-layer CNN in full size", net=FOUR_LAYERS, planned_sd=None
    )
    recipe = full_size.RECIPE
    data = recipe.data()
    if data is None:
        return [cnn]
    first, second, last = recipe.drops
    return [
        cnn,
        ScheduledTraining(
            title="CIFAR-10, PreResNet-32 with the paper's recipe",
            net=recipe.net,
            data=data,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            batch_size=recipe.batch_size,
            burn_in=recipe.steps(first),
            phases=(
                Phase(steps=recipe.steps(second - first), start=0.1, end=0.1),
                Phase(steps=recipe.steps(last - second), start=0.01, end=0.01),
            ),
            # Below the usual 4 to 8: where the first steps are large against the weights, float32 can tell a
            # decay in front of a step from one behind it (by 4 bounds and more; random images, another seed).
            # The burn-in forgets the start.
            initial_norm=0.25,
            planned_sd=None,
            looks=(recipe.runs, 2 * recipe.runs),
        ),
    ]


LAW = CourseQuestion(
    text=TEXT,
    courses=courses,
    rivals=lambda course: (course.log_ideal(0.5), course.log_ideal(2.0)),
    caption="A drop of the LR by 5. The line is what the gradient noise of other runs makes of the norm.",
).law()
CLAIM = LAW.claim()
