"""Does it work on data as large as ImageNet?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.2",
    title="Does it hold on something like ImageNet?",
    question="Only small image sets were shown. What can be said about large ones?",
    why="The theory is about long training, and that is done on large data.",
    experiment=(
        "What fits this tool is MNIST-5k and CIFAR-10. The identities of one step can be judged on a net of "
        "any size, in a single epoch."
    ),
    claims=("larger-data", "angle-identity", "angular-update"),
    equation="cos θ = a·r/r₊ each step;  θ* = arccos(1 − λₑ) in every invariant layer",
    answer=(
        "The identities are algebra and know no size. The angle at equilibrium follows from them as soon as "
        "the norm is bounded, in every layer by itself; Wan et al. (2021) report it on ImageNet."
    ),
    theory=("sgd.rotation_cosine", "sgd.rotation_budget"),
    open="No run of ImageNet stands behind this page. Functions at that size are open.",
)
