from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.7",
    title="Does “only λₑ matters” hold with momentum?",
    question="The theory is written for plain SGD. What replaces λₑ when momentum is used?",
    why="Hardly anybody trains without momentum.",
    experiment=(
        "For heavy ball, Nesterov and dampening, the equilibrium norm, the rotation and the relaxation rate "
        "are compared with closed forms at equal λₑ and different momentum. The recursion of inner products "
        "is checked exactly. The equilibria of AdamW, Lion, Muon and related optimizers are judged in the "
        "same way."
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
        "Yes for norms, rates and functions over many steps, with λₑ = ηλ/(1 − μ), where μ is the momentum. "
        "No for a single step: its rotation is given by 1 − cos θ = ηλ/(1 + μ), because successive steps "
        "overlap. AdamW and Lion depend on ηλ in the same way. Adam with L2, RMSprop and Adagrad depend on "
        "η²λ instead."
    ),
    theory=(
        "momentum.intrinsic_lr",
        "momentum.heavy_ball_gain",
        "momentum.heavy_ball_cosine",
        "heavy_ball.next_inner_product",
    ),
    open=(
        "It is a conjecture that SGD with and without momentum reach equal distributions of functions at "
        "equal λₑ. It requires that the memory of momentum, 1/(1 − μ) steps, is far shorter than 1/λₑ. Muon "
        "has no closed form that needs no measurement; its prediction uses measured inputs."
    ),
)
