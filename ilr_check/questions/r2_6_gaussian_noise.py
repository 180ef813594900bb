from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.6",
    title="The paper doubts Gaussian noise, yet Gaussian noise drives its SDE: what is really assumed?",
    question="Which results need Gaussian noise, and which need only its second moment?",
    why="A paper cannot both criticise an assumption and use it.",
    experiment=(
        "The same net is trained under minibatch noise, under Gaussian noise of equal covariance, and under "
        "noise with shuffled signs. Minibatch gradients are measured along each path; they must predict its "
        "norm and its rotation. Twice the trace is the rival. The raw norms are reported as well."
    ),
    claims=("not-gaussian", "heavy-tails", "noise-covariance", "norm-recursion"),
    equation="r₊² = a²r² + η²G²/r², step by step for any noise; only E G² enters the equilibrium",
    answer=(
        "The equations of norm and rotation hold along every single path, for any noise. At equilibrium and "
        "to first order in λₑ only the mean of G² counts; higher moments enter with λₑ·Var(G²)/E(G²)². Only "
        "the law of the direction u needs Gaussian noise. That law in turn changes the mean of G²: noise "
        "with the same trace and another covariance leads to another place on the sphere. The norm there is "
        "another one, as the trace found at that place requires."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "relaxation.equilibrium_effective_lr"),
    open=(
        "The law of the direction, and therefore of the function, under noise of shapes other than those "
        "tried."
    ),
)
