from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.7",
    title="Does “only λₑ matters” hold with momentum?",
    question="The theory is written for plain SGD. What replaces λₑ when momentum is used?",
    why="Hardly anybody trains without momentum.",
    experiment=(
        "Functions: plain SGD, and heavy ball with momentum 0.9 at two learning rates a factor of 10 apart, "
        "are trained at one λₑ. The distributions of their predictions and their held-out losses must be "
        "the same, up to a share of the difference that four times λₑ makes with momentum. Norms: for heavy "
        "ball, Nesterov and dampening, the equilibrium norm and the rotation are compared with closed forms. "
        "The recursion of inner products is checked exactly. The equilibria of AdamW, Lion, Muon and related "
        "optimizers are judged in the same way."
    ),
    claims=(
        "equilibrium-forgets",
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
        "equal λₑ. It requires that the memory of momentum, 1/(1 − μ) steps, is far shorter than 1/λₑ. It is "
        "judged on one net, with heavy ball, where 1/λₑ is 8 times that memory; functions under Nesterov "
        "momentum and under the adaptive optimizers are not compared. The time that functions need under "
        "momentum is not measured. Muon has no closed form that needs no measurement; its prediction uses "
        "measured inputs."
    ),
)
