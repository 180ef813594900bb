from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.6",
    title="What is a “trial”, and how many trials does a comparison of functions need?",
    question=(
        "A figure of the paper mentions a number of trials. What is a trial, and is the number large enough?"
    ),
    why=(
        "The estimated distance between two distributions is not zero when the distributions are equal. With "
        "few trials this looks like a difference."
    ),
    experiment=(
        "Populations of independent trainings are compared, and each run votes for a label on each probe "
        "input. The distance is estimated without bias and judged against a margin. A population with "
        "another λₑ is the control, and it must differ."
    ),
    claims=("equilibrium-forgets", "function-mixing-time"),
    equation=(
        "E‖P̂ − Q̂‖₁ ≈ Σₖ √(4pₖ(1 − pₖ)/(πn)) for P = Q;  unbiased: Σₖ [(np̂² − p̂)/(n − 1) + (mq̂² − "
        "q̂)/(m − 1) − 2p̂q̂]"
    ),
    answer=(
        "A trial is one whole training, and 500 of them estimate the distribution of labels. With 500 trials "
        "on each side, the plain l1 distance of two equal distributions is still about 0.04 where the nets "
        "err in 5 % of cases among ten labels. A plot of it therefore never reaches zero. The unbiased "
        "statistic has expectation zero for equal distributions."
    ),
    open=(
        "Equality is shown up to a margin and on chosen probe inputs. Smaller differences, or differences on "
        "other inputs, may exist."
    ),
)
