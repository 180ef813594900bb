"""Is the noise assumed to be Gaussian after all?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.6",
    title=(
        "The paper doubts Gaussian noise, yet its SDE is driven by Gaussian noise: what is really assumed?"
    ),
    question="Which of the results need Gaussian noise, and which only its second moment?",
    why="Critique of an assumption and use of it cannot both stand.",
    experiment=(
        "The same net under minibatch noise, Gaussian noise of equal covariance and sign-shuffled noise: "
        "do minibatch gradients measured along each path predict its norm and rotation? Twice the trace is "
        "the rival, and the raw norms are reported beside it."
    ),
    claims=("not-gaussian", "heavy-tails", "noise-covariance", "norm-recursion"),
    equation="r₊² = a²r² + η²G²/r², step by step for any noise; only E G² enters the equilibrium",
    answer=(
        "The equations of norm and rotation hold path by path for any noise. At equilibrium to first order "
        "in λₑ only the mean of G² counts; higher moments come in with λₑ·Var(G²)/E(G²)². Gaussianity "
        "belongs to the law of the direction u alone. That law moves E G² in turn: noise of equal trace and "
        "another covariance leads elsewhere on the sphere, and to another norm, by the trace found there."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "relaxation.equilibrium_effective_lr"),
    open="The law of the direction, and so of the function, under noise of other shapes than those tried.",
)
