from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.b",
    title="Is the number of steps to equilibrium proportional to 1/λₑ?",
    question=(
        "Plot the number of steps needed to reach equilibrium against 1/λₑ. Is it the straight line that the "
        "theory promises?"
    ),
    why=(
        "The speed is the surprising part of the theory. Classical bounds are exponential in 1/η, and one "
        "plot over a decade or two can tell the two apart."
    ),
    experiment=(
        "For the norm, the time that γ = r⁴/η² needs is compared with the prediction over a range of λₑ. For "
        "functions, one population starts from eight times λₑ and another has long been trained at λₑ. The "
        "distance between their distributions of predictions is fitted by one exponential that ends at 0. "
        "Noise hardly biases this fit, because each distance is estimated without bias; it would bias the "
        "first time at which a noisy curve is small. The distance must also be gone at the end, because a "
        "distance that never faded would give the longest time that the window can tell, which is "
        "proportional to 1/λₑ too."
    ),
    claims=("mixing-time", "function-mixing-time", "relaxation-rate", "gamma-ode"),
    equation="T = ln(|γ₀/γ* − 1| / δ) / (4λₑ)",
    answer=(
        "For the norm it is proportional, when all runs start at the same ratio γ₀/γ* of the initial γ to "
        "that at equilibrium. The histories of the populations are scaled with 1/λₑ and the initial norms "
        "with λₑ^(−1/4), so that every level of λₑ starts at the same γ₀/γ* and the raw slope is meaningful. "
        "Functions follow the norm with the delay that learning takes. This delay is of order 1/(effective "
        "learning rate), which scales as λₑ^(−1/2). The count of steps starts after the delay; where the "
        "delay dominates, the slope is nearer to 1/2. From a fixed initialisation above γ*, a log-log plot "
        "is flatter than slope 1 although the law holds: γ* grows as 1/λₑ, so the logarithm in the equation "
        "shrinks as 1/λₑ rises. To avoid this, divide by the logarithm or start all runs equally far from "
        "equilibrium. Near equilibrium the rate is −ln(2a² − 1), which is 4λₑ + 6λₑ² to second order, with a "
        "= 1 − λₑ."
    ),
    theory=("relaxation.time_to_within", "relaxation.relaxation_rate", "relaxation.memory_rate"),
    open=(
        "For the norm this is derived. For functions it is the paper's conjecture: a slope of 2 (diffusion "
        "limited by curvature) or exponential growth would refute it, and no run proves it for all nets. One "
        "history is judged, from a larger to a smaller learning rate, on one net with BatchNorm, over a "
        "sixteenfold range of λₑ. Two cases are known to depart from it and are judged in every run: in a "
        "net with LayerNorm, and after a history with a very small weight decay on a small net, more than a "
        "tenth of the distance stays after 1/λₑ. In the first case many units were dead after the phase "
        "with the larger learning rate; whether they are the cause was not tested. In the second, the net "
        "has to learn first."
    ),
)
