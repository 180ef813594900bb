from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.8",
    title=(
        "Does the gain from averaging weights show that SGD has not mixed, or does SGD fluctuate in a "
        "minimum?"
    ),
    question=(
        "The paper says that SGD reaches equilibrium fast. It also says that the gain from averaging along a "
        "run shows that it has not. Can both be true?"
    ),
    why="The question asks in which space the equilibrium exists.",
    experiment=(
        "The cosine of the weights with the weights D steps later, for D up to five times 1/λₑ, is compared "
        "with the cosine between seeds. The distance of predictions between seeds is measured as well, and "
        "so are averages along one run and across runs."
    ),
    claims=("no-parameter-mixing", "equilibrium-forgets"),
    equation="ρ_D = E cos(w_t, w_(t+D)); free rotation: (1 − λₑ)^D; stuck in a basin: a plateau ρ_∞ > 0",
    answer=(
        "Both can be true: SGD has mixed as a distribution of functions, and it has not mixed as a "
        "distribution of weights. It proves nothing that E‖w_t − w_(t+D)‖² rises with D, because free "
        "rotation does that too. The test is where the cosine ρ_D ends: at the cosine between seeds (mixed), "
        "or above it (still in the basin of the initialisation)."
    ),
    theory=("sgd.rotation_cosine", "sgd.rotation_budget"),
    open=(
        "Equality of functions across initialisations is a separate question from equality within one basin."
    ),
)
