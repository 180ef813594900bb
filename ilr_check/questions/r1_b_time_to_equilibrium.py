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
        "function space: one population comes from eight times λₑ, one has long had λₑ; their distance as "
        "distributions of predictions is summed along the run and divided by its first value. A sum of "
        "unbiased distances is not moved by noise; the first time a noisy curve is small is. The distance "
        "must also be gone at the end: one that never faded would have a time of the whole window, which "
        "is proportional to 1/λₑ too."
    ),
    claims=("mixing-time", "function-mixing-time", "relaxation-rate", "gamma-ode"),
    equation="T = ln(|γ₀/γ* − 1| / δ) / (4λₑ)",
    answer=(
        "Proportional, at equal γ₀/γ*, in the norm. All histories of the populations are scaled with 1/λₑ "
        "and initial norms with λₑ^(−1/4), so every level starts at one γ₀/γ* and the raw slope means "
        "something. Functions follow the norm with the lag that learning takes, of order 1/(effective LR), "
        "which goes as λₑ^(−1/2): the count starts after it, and where it dominates the slope is nearer "
        "1/2. From a fixed initialisation above γ* a log-log plot is flatter than slope 1 although the law "
        "holds: γ* grows as 1/λₑ, so the logarithm shrinks as 1/λₑ rises. Divide by it, or start all runs "
        "equally far from equilibrium. Near equilibrium the rate is −ln(2a² − 1), which is 4λₑ + 6λₑ², "
        "with a = 1 − λₑ."
    ),
    theory=("relaxation.time_to_within", "relaxation.relaxation_rate", "relaxation.memory_rate"),
    open=(
        "For the norm this is derived. For functions it is the paper's conjecture: a slope of 2 (diffusion "
        "limited by curvature) or exponential growth would refute it, and no run proves it for all nets. "
        "Judged is one history, from hot, on one net with BatchNorm, over a sixteenfold range of λₑ. In "
        "pilots other cases were not proportional over such a range: after a cold history on small nets "
        "learning took the longest, and in a net with LayerNorm half of the distance stayed, where many "
        "units were dead after the hot phase; whether that is the cause was not tested."
    ),
)
