"""Does it hold on a larger data set?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.2",
    title="Does the intrinsic LR matter on a larger data set?",
    question="Would one experiment on more data than the paper's show the same?",
    why=(
        "Small data are fitted, and fitted data have vanishing noise: the law could be a small-data effect."
    ),
    experiment=(
        "The exact and the mean-field claims on 5000 MNIST images, and on CIFAR-10 where its files are on "
        "disk. The identities hold path by path, so a short run of any size judges them. The profile `paper` "
        "does the same with PreResNet-32 and the paper's recipe, for a GPU."
    ),
    claims=("larger-data", "norm-recursion", "angle-identity", "rotation-budget"),
    equation="r₊² = a²r² + η²‖g‖²;  cos θ = a·r/r₊: no quantity of the data enters",
    answer=(
        "The size of the data enters through the noise alone: the identities hold on any data, λₑ sets the "
        "time scale."
    ),
    theory=("sgd.next_squared_norm", "sgd.rotation_cosine"),
    open=(
        "Functions on large data: populations of a net of the paper's size take days of a GPU, which `verify "
        "--profile paper --dry-run` predicts, and no such run stands behind this page. Nor is the paper's "
        "augmentation of images in it."
    ),
)
