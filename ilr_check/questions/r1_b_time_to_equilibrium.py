"""Is the time to equilibrium proportional to one over the intrinsic learning rate?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.b",
    title="Is the number of steps to equilibrium proportional to 1/λₑ?",
    question=(
        "Plot the steps needed to reach equilibrium against 1/λₑ. Is it the straight line that the theory "
        "promises?"
    ),
    why=(
        "The speed is the surprising part of the theory: classical bounds are exponential in 1/η, and one "
        "plot over a decade or two can tell them apart."
    ),
    experiment=(
        "In the norm: the time that γ = r⁴/η² takes, over a range of λₑ, against the predicted one. In "
        "function space: the time after which two populations of nets that started differently can no "
        "longer be told apart by their predictions."
    ),
    claims=("mixing-time", "function-mixing-time", "relaxation-rate", "gamma-ode"),
    equation="T = ln(|γ₀/γ* − 1| / δ) / (4λₑ)",
    answer=(
        "Proportional, at equal γ₀/γ*. From a fixed initialisation above γ* a log-log plot is flatter than "
        "slope 1 although the law holds: γ* grows as 1/λₑ, so the logarithm shrinks as 1/λₑ rises. Divide "
        "by it, or start all runs equally far from equilibrium. Near equilibrium the rate is −ln(2a² − 1), "
        "which is 4λₑ + 6λₑ², with a = 1 − λₑ."
    ),
    theory=("relaxation.time_to_within", "relaxation.relaxation_rate", "relaxation.memory_rate"),
    open=(
        "For the norm this is derived. For functions it is the paper's conjecture: a slope of 2 (diffusion "
        "limited by curvature) or exponential growth would refute it, and no run proves it for all nets."
    ),
)
