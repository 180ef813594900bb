"""What changes if the gradient noise is heavy-tailed?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.1",
    title="What if the gradient noise is heavy-tailed?",
    question=(
        "Measurements suggest noise without a variance. Which results survive it, and how do the rest change?"
    ),
    why="The SDE has Gaussian noise in it, so a reader has to know which of the conclusions rest on that.",
    experiment=(
        "Noise of given tail index α (Pareto, Student), tangent to the sphere, is added, long enough to "
        "outweigh the minibatch noise. The exponent of the time mean of the effective LR in λₑ, its end "
        "after a drop of the LR and the mean rotation are measured; a tail beyond 2 is the control. The tail "
        "index of the net's own minibatch gradients is estimated beside it (Hill)."
    ),
    claims=("heavy-tails", "angle-identity", "rotation-budget", "not-gaussian"),
    equation=(
        "effLR* ~ λₑ^(1/α), end after a drop by k: k^(−1/α), for α < 2; λₑ^(1/2) and k^(−1/2) for α > 2"
    ),
    answer=(
        "Everything that holds path by path stays as it is: the recursion of the norm, the rotation of each "
        "step, the budget of rotation. What changes are powers. With ‖w‖²/η = λₑ^(−1/α) y the recursion has "
        "one law of y for every small λₑ, so that 1/2 becomes 1/α. About once in 1/λₑ steps a single "
        "gradient moves the norm by as much as all the others: γ has no mean, while the effective LR, which "
        "large norms make small, has one. dγ = −4λₑγ dt + 2 dS, S the stable sum of ‖g‖², has the same "
        "powers but too large an effective LR however small λₑ is, since it leaves ‖g‖⁴/γ out."
    ),
    theory=(
        "heavy_tails.effective_lr_exponent",
        "heavy_tails.end_of_drop",
        "heavy_tails.linear_gamma_path",
        "relaxation.gamma_path",
        "sgd.rotation_budget",
    ),
    open=(
        "A smooth loss on the sphere and a finite data set bound the gradient, so α < 2 can describe a "
        "range of scales only. The tail index is estimated for the lengths of gradients of small nets; "
        "single coordinates, and large models, may have such a range."
    ),
)
