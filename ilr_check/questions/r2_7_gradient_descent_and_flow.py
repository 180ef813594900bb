"""Is there more in it than that finite steps are not a flow?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.7",
    title="“Gradient descent is not gradient flow”: more than that finite steps may be chaotic?",
    question=(
        "That a finite step differs from the flow is no news. What is special about weight decay here?"
    ),
    why="It asks for the theorem behind an anecdote.",
    experiment=(
        "Full-batch gradient descent over several LRs, with weight decay and with it turned off: the time "
        "average of −ln cos θ over −ln(1 − λₑ), the step at which descent leaves the flow, and the bursts."
    ),
    claims=("gd-is-not-gradient-flow", "periodic-behaviour", "rotation-budget"),
    equation="Σ −ln cos θ_t = −T·ln(1 − λₑ) + ln(r_T/r₀);  K* = ln(2r₀²/(η·λ_max))/(2λₑ)",
    answer=(
        "With decay, descent cannot converge at any LR, however small: total rotation is T·λₑ plus a "
        "boundary term, so a direction that converged would need a norm that falls to 0. Without decay the "
        "same descent converges. Along the flow the norm shrinks until Φ·λ_max = 2 after K* steps, Φ = "
        "η/(a·r²), which grows like a logarithm only as η → 0."
    ),
    theory=("sgd.rotation_budget", "sgd.direction_speed"),
    open=(
        "What happens past the edge: bursts, periods or a steady edge depend on the loss near its minimum."
    ),
)
