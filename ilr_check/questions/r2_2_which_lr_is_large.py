from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.2",
    title="Must the learning rate or the effective learning rate be large for good generalisation?",
    question=(
        "A small learning rate with a large weight decay is not a small step. Should claims about small and "
        "large learning rates be stated for the effective learning rate instead?"
    ),
    why="Half of the literature on large learning rates changes its meaning with the answer.",
    experiment=(
        "The learning rate is made small and the weight decay large at equal λₑ. With the matching initial "
        "scale, the sequence of functions must be the same bit by bit. Without it, the equilibrium must be "
        "the same."
    ),
    claims=("lr-wd-equivalence", "equilibrium-forgets", "after-the-drop"),
    equation="(η, λ, w₀) ≙ (cη, λ/c, √c·w₀)",
    answer=(
        "The learning rate alone has no meaning for a scale-invariant net, because scaling the weights can "
        "replace any value by any other. Only the effective learning rate η/r² during a run, and λₑ in the "
        "long run, can be called small or large."
    ),
    theory=("gauge.gauge_rates", "relaxation.gamma"),
    open=(
        "Whether a finite effective learning rate improves generalisation is an empirical question: see R1.4 "
        "and R2.11."
    ),
)
