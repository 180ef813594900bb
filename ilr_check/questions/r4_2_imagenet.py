from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.2",
    title="Does the theory hold on data as large as ImageNet?",
    question="The paper shows only small image sets. What can be said about large ones?",
    why="The theory is about long training, and long training is done on large data.",
    experiment=(
        "MNIST-5k and CIFAR-10 fit into this tool. The identities of one step can be judged on a net of any "
        "size, within a single epoch."
    ),
    claims=("larger-data", "angle-identity", "angular-update"),
    equation="cos θ = a·r/r₊ each step;  θ* = arccos(1 − λₑ) in every invariant layer",
    answer=(
        "The identities are algebra and do not depend on size. They give the angle at equilibrium as soon as "
        "the norm is bounded, separately in every layer. Wan et al. (2021) report this angle on ImageNet."
    ),
    theory=("sgd.rotation_cosine", "sgd.rotation_budget"),
    open="No run on ImageNet stands behind this page. Functions at that size are an open question.",
)
