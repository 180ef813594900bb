from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.2",
    title="Does the intrinsic learning rate matter on a larger data set?",
    question="Would one experiment on more data than the paper's show the same result?",
    why="A net can fit small data, and then the noise vanishes. The law could be an effect of small data.",
    experiment=(
        "The exact and the mean-field claims are judged on 5000 MNIST images, and on CIFAR-10 where its "
        "files are on disk. The identities hold along every single path, so a short run of a net of any size "
        "can judge them. The profile `paper` does the same with PreResNet-32 and the paper's recipe, for a "
        "GPU."
    ),
    claims=("larger-data", "norm-recursion", "angle-identity", "rotation-budget"),
    equation="r₊² = a²r² + η²‖g‖²;  cos θ = a·r/r₊: no quantity of the data enters",
    answer=(
        "The size of the data enters only through the noise. The identities hold on any data, and λₑ sets "
        "the time scale."
    ),
    theory=("sgd.next_squared_norm", "sgd.rotation_cosine"),
    open=(
        "Functions on large data. Populations of a net of the paper's size take days of a GPU, as `verify "
        "--profile paper --dry-run` predicts, and no such run stands behind this page. The paper's "
        "augmentation of images is not included either."
    ),
)
