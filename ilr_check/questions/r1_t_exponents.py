from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.t",
    title="Are two exponents in the text misprints?",
    question=(
        "Is the effective learning rate γ^(−1/2) and not its inverse, and which power of the norm remains "
        "after a drop?"
    ),
    why="Everybody who implements the paper copies a wrong sign in an exponent.",
    experiment="The claims list the wrong exponents as rival theories, and the data have to exclude them.",
    claims=("immediate-drop", "equilibrium-effective-lr", "gradient-homogeneity"),
    equation="effLR = η/r² = γ^(−1/2),  γ = r⁴/η²;  r* ~ (η/λ)^(1/4)",
    answer=(
        "The effective learning rate is η/r², which is γ^(−1/2). Gradients scale as 1/r, so the step of the "
        "direction scales as η/r²."
    ),
    theory=("relaxation.gamma", "relaxation.equilibrium_effective_lr"),
    open="Nothing.",
)
