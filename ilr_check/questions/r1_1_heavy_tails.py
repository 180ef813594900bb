from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.1",
    title="What if the gradient noise is heavy-tailed?",
    question=(
        "Measurements suggest that gradient noise can be heavy-tailed, so that it has no variance. Which "
        "results of the theory survive such noise, and how do the others change?"
    ),
    why=(
        "The paper's stochastic differential equation (SDE) is driven by Gaussian noise, so a reader has to "
        "know which conclusions depend on that."
    ),
    experiment=(
        "Noise with a chosen tail index α (Pareto or Student), tangent to the sphere and large enough to "
        "outweigh the minibatch noise, is added to the gradients. The claims measure the power of λₑ that "
        "the time mean of the effective learning rate follows, its final value after a drop of the learning "
        "rate, and the mean rotation. A tail index above 2 is the control. The tail index of the net's own "
        "minibatch gradients is estimated as well (Hill estimator)."
    ),
    claims=("heavy-tails", "angle-identity", "rotation-budget", "not-gaussian"),
    equation=(
        "effLR* ~ λₑ^(1/α), end after a drop by k: k^(−1/α), for α < 2; λₑ^(1/2) and k^(−1/2) for α > 2"
    ),
    answer=(
        "Every relation that holds along each single trajectory stays as it is: the recursion of the norm, "
        "the rotation of each step, and the rotation budget. The powers change. With ‖w‖²/η = λₑ^(−1/α)·y, "
        "the recursion gives the same distribution of y for every small λₑ, so that the power 1/2 becomes "
        "1/α. About once in 1/λₑ steps a single gradient moves the norm as much as all the other gradients "
        "together. For this reason γ has no mean. The effective learning rate does have a mean, because a "
        "large norm makes it small. The linear equation dγ = −4λₑγ dt + 2 dS, where S is the stable sum of "
        "the squared gradients ‖g‖² at unit norm, has the same powers. However small λₑ is, its effective "
        "learning rate is too large, because the equation leaves out the term ‖g‖⁴/γ."
    ),
    theory=(
        "heavy_tails.effective_lr_exponent",
        "heavy_tails.end_of_drop",
        "heavy_tails.linear_gamma_path",
        "relaxation.gamma_path",
        "sgd.rotation_budget",
    ),
    open=(
        "A smooth loss on the sphere and a finite data set bound the gradient, so α < 2 can only describe a "
        "range of scales. The tail index is estimated for the lengths of the gradients of small nets. Single "
        "coordinates, and large models, may have such a range."
    ),
)
