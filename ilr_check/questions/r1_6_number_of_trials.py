"""What is a trial in the comparison of functions?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.6",
    title="What is a “trial”, and how many does a comparison of functions need?",
    question="A figure of the paper speaks of a number of trials. Of what, and is the number large enough?",
    why=(
        "The distance between two estimated distributions is not zero when they are equal; few trials look "
        "like a gap."
    ),
    experiment=(
        "Populations of independent trainings; each run votes for a label on each probe input. The distance "
        "is estimated without bias and judged against a margin, with another λₑ as a control that must "
        "differ."
    ),
    claims=("equilibrium-forgets", "function-mixing-time"),
    equation=(
        "E‖P̂ − Q̂‖₁ ≈ Σₖ √(4pₖ(1 − pₖ)/(πn)) for P = Q;  unbiased: Σₖ [(np̂² − p̂)/(n − 1) + (mq̂² − "
        "q̂)/(m − 1) − 2p̂q̂]"
    ),
    answer=(
        "A trial is one whole training; 500 of them estimate the distribution of labels. With 500 on each "
        "side the plain l1 distance of two equal distributions is still about 0.04 where nets err in 5 % of "
        "cases among ten labels, so a plot of it never reaches zero. The unbiased statistic has expectation "
        "zero there and needs no such floor."
    ),
    open=(
        "Equality is shown up to a margin, on chosen probe inputs. Smaller differences, or others, may exist."
    ),
)
