"""How can averaging help if SGD has equilibrated?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.8",
    title=(
        "Does the gain from averaging weights show that SGD has not mixed, or is it fluctuation in a minimum?"
    ),
    question=(
        "The paper says both that SGD equilibrates fast and that averaging along a run shows that it has "
        "not. Can both be true?"
    ),
    why="It asks which space the equilibrium lives in.",
    experiment=(
        "Cosine of the weights at lag D, up to five times 1/λₑ, against the cosine between seeds; beside it "
        "the distance of predictions between seeds; averages along one run and across runs."
    ),
    claims=("no-parameter-mixing", "equilibrium-forgets"),
    equation="ρ_D = E cos(w_t, w_(t+D)); free rotation: (1 − λₑ)^D; stuck in a basin: a plateau ρ_∞ > 0",
    answer=(
        "Both can be true: mixed as a distribution of functions, not mixed as weights. The test is not that "
        "E‖w_t − w_(t+D)‖² rises with D, for free rotation does that too, but where ρ_D ends: at the cosine "
        "between seeds (mixed) or above it (still in the basin of the initialisation)."
    ),
    theory=("sgd.rotation_cosine", "sgd.rotation_budget"),
    open=(
        "Equality of functions across initialisations is a separate question from equality within one basin."
    ),
)
