from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.8",
    title="Why do the curves of the log-norm of the weights separate, if the equilibrium is the same?",
    question="Runs with the same λₑ end with different norms. Does that contradict a common equilibrium?",
    why="It looks like a contradiction in the paper's own figure.",
    experiment=(
        "Runs with equal λₑ and different learning rates are trained to equilibrium, and the difference of "
        "their log-norms is measured."
    ),
    claims=("norm-offset", "equilibrium-effective-lr", "lr-wd-equivalence"),
    equation="r*⁴ = ηG²/(λ(2 − ηλ)), so ln r₁ − ln r₂ = ½·ln(η₁/η₂) at equal λₑ",
    answer=(
        "They should separate. The runs share the effective learning rate η/r², so a larger η needs a larger "
        "r: the log-norms stay ½·ln(η₁/η₂) apart for ever. The function that the net computes does not "
        "depend on the norm."
    ),
    theory=("relaxation.equilibrium_gamma", "relaxation.equilibrium_effective_lr"),
    open=(
        "The paper's figure itself is not reproduced here. The offset explains the figure if its runs share "
        "λₑ."
    ),
)
