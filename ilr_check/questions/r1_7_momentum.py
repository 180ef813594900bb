"""Does only the intrinsic learning rate matter with momentum?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.7",
    title="Does “only λₑ matters” survive momentum?",
    question="The theory is written for plain SGD. What takes the place of λₑ with momentum?",
    why="Hardly anybody trains without momentum.",
    experiment=(
        "Heavy ball, Nesterov and dampening: equilibrium norm, rotation and rate against closed forms, at "
        "equal λₑ and different momentum; the exact recursion of inner products; then the same for AdamW, "
        "Lion, Muon and their kin."
    ),
    claims=(
        "momentum-equilibrium",
        "momentum-identity",
        "angular-update",
        "intrinsic-parameter",
        "adaptive-equilibrium",
        "muon-equilibrium",
        "optimizer-symmetry",
    ),
    equation="λₑ = ηλ/(1 − μ);  ⟨w₊, w⟩ = (1 + μ − ηλ)r² − μ⟨w, w₋⟩;  1 − cos θ = ηλ/(1 + μ)",
    answer=(
        "Yes for norms, rates and functions over many steps, with λₑ = ηλ/(1 − μ). No for a single step: "
        "its rotation is ηλ/(1 + μ), because successive steps overlap. AdamW and Lion depend on ηλ in the "
        "same way; Adam with L2, RMSprop and Adagrad on η²λ instead."
    ),
    theory=(
        "momentum.intrinsic_lr",
        "momentum.heavy_ball_gain",
        "momentum.heavy_ball_cosine",
        "heavy_ball.next_inner_product",
    ),
    open=(
        "Equal distributions of functions under SGD and momentum at equal λₑ are a conjecture; it needs a "
        "momentum time 1/(1 − μ) far below 1/λₑ. Muon has no closed form, only one with measured inputs."
    ),
)
