from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.9",
    title="Is another initial learning rate really the same as another scale of the initial weights?",
    question=(
        "The paper states an equivalence that sounds too strong. Is there an experiment that verifies it?"
    ),
    why="The statement is exact, so one counterexample would refute it.",
    experiment=(
        "Runs of (η, λ, w₀) and of (cη, λ/c, √c·w₀), with c a power of 4, are compared bit by bit, with "
        "momentum and any schedule. The approximate statement is judged as well: with the same w₀, the "
        "effect of the initial η dies out."
    ),
    claims=("init-scale-is-lr", "lr-wd-equivalence", "full-recovery", "gauge", "init-lr-forgotten"),
    equation=(
        "(η, λ, w₀) ≙ (cη, λ/c, √c·w₀);  effLR(t)/effLR = [1 + (k² − 1)e^(−4λₑt)]^(−1/2) for (η/k, kλ)"
    ),
    answer=(
        "Yes, exactly, step by step; in floating-point arithmetic bit by bit for powers of 4. At fixed λₑ "
        "and fixed w₀, another initial learning rate is a start away from equilibrium, and it is forgotten "
        "as e^(−4λₑt) after t steps."
    ),
    theory=("gauge.gauge_rates", "relaxation.change_curve"),
    open=(
        "Nothing in exact arithmetic. Weights that are not scale-invariant (a trained head, biases) are not "
        "covered."
    ),
)
