"""Does fast equilibrium explain why BatchNorm is good?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.3",
    title="LayerNorm and InstanceNorm obey the same SDE: what then explains that BatchNorm does better?",
    question=(
        "If fast mixing were the reason for BatchNorm's success, other norms with the same invariance "
        "should do as well. Do they obey the same laws?"
    ),
    why="It separates what follows from scale invariance from what is special to BatchNorm.",
    experiment=(
        "The exact laws and the equilibrium for BatchNorm, LayerNorm, InstanceNorm, GroupNorm, RMSNorm and "
        "WeightNorm, each with its own invariant groups, and their times to equilibrium."
    ),
    claims=("other-norms", "invariance-by-norm", "scale-invariance", "angular-update"),
    equation="dγ/dt = −4λₑγ + 2 Tr Σ for every invariant group, whatever made it invariant",
    answer=(
        "The dynamics of the norm are the same for all of them; what differs is which groups of weights are "
        "invariant (one unit under BatchNorm, a whole layer under LayerNorm) and the noise. So fast "
        "equilibrium is not what sets BatchNorm apart, and the strong reading of the paper does not follow."
    ),
    theory=("relaxation.gamma_path", "relaxation.equilibrium_gamma"),
    open="The gap in generalisation between norms. Nothing in this theory explains it.",
)
