from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.3",
    title="LayerNorm and InstanceNorm obey the same SDE: why then does BatchNorm do better?",
    question=(
        "If fast mixing were the reason for the success of BatchNorm, other norms with the same invariance "
        "should do as well. Do they obey the same laws?"
    ),
    why="The answer separates what follows from scale invariance from what is special to BatchNorm.",
    experiment=(
        "The exact laws, the equilibrium and the time to reach it are judged for BatchNorm, LayerNorm, "
        "InstanceNorm, GroupNorm, RMSNorm and WeightNorm, each with its own invariant groups. The held-out "
        "accuracies of these nets after equal training are reported beside each other with intervals, and "
        "not judged."
    ),
    claims=("other-norms", "invariance-by-norm", "scale-invariance", "angular-update"),
    equation="dγ/dt = −4λₑγ + 2 Tr Σ for every invariant group, whatever made it invariant",
    answer=(
        "The norm of the weights has the same dynamics under all of them. Two things differ: which groups of "
        "weights are invariant (one unit under BatchNorm, a whole layer under LayerNorm), and the noise. So "
        "fast equilibrium is not what distinguishes BatchNorm, and the strong reading of the paper does not "
        "follow."
    ),
    theory=("relaxation.gamma_path", "relaxation.equilibrium_gamma"),
    open=(
        "The difference in generalisation between norms. The theory does not predict it, in size or in sign. "
        "The reported accuracies are those of one small net with one layer (two on images) on digits, at one "
        "learning rate and one weight decay for all norms, so they say nothing about the norms in general."
    ),
)
