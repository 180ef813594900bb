"""Is it the learning rate or the effective one that helps generalisation?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.2",
    title="Is it the LR or the effective LR that must be large to generalise?",
    question=(
        "A small LR with a large weight decay is not a small step. Should claims about small and large LR "
        "not be stated for the effective LR?"
    ),
    why="Half of the literature on large learning rates changes meaning with the answer.",
    experiment=(
        "The LR is made small and the decay large at equal λₑ: the path of functions must be the same bit "
        "by bit with the matching initial scale, and the equilibrium the same without it."
    ),
    claims=("lr-wd-equivalence", "equilibrium-forgets", "after-the-drop"),
    equation="(η, λ, w₀) ≙ (cη, λ/c, √c·w₀)",
    answer=(
        "The LR alone has no meaning for a scale-invariant net: any value can be had by scaling the "
        "weights. Only the effective LR η/r² along a run, and λₑ in the long run, can be called small or "
        "large."
    ),
    theory=("gauge.gauge_rates", "relaxation.gamma"),
    open="Whether a finite effective LR helps to generalise is empirical: see R1.4 and R2.11.",
)
