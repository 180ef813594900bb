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
        "Noise of given tail index α (Pareto, Student) is put in place of the minibatch noise, tangent to "
        "the sphere; the exponent of the effective LR in λₑ and its end after a drop of the LR are "
        "measured. The rotation of a step is checked beside it."
    ),
    claims=("heavy-tails", "angle-identity", "rotation-budget", "not-gaussian"),
    equation=(
        "effLR* ~ λₑ^(1/α), end after a drop by k: k^(−1/α), for α < 2; λₑ^(1/2) and k^(−1/2) for α > 2"
    ),
    answer=(
        "Everything that holds path by path stays as it is: the recursion of the norm, the rotation of each "
        "step, the budget of rotation. What changes are powers: the sum of ‖g‖² is then a stable "
        "subordinator of index α/2, γ scales as λₑ^(−2/α), and 1/2 becomes 1/α. The measured power "
        "estimates α."
    ),
    theory=("sgd.rotation_cosine", "sgd.rotation_budget", "sgd.next_squared_norm_on_sphere"),
    open=(
        "A smooth loss on the sphere and a finite data set bound the gradient, so α < 2 can describe a "
        "range of scales only. Whether real minibatch noise has such a range is not decided here."
    ),
)
