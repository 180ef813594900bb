"""Why do the curves of the log-norm not meet?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.8",
    title="Why do the curves of the log-norm of the weights part, if the equilibrium is the same?",
    question="Runs that share λₑ end with different norms. Does that not speak against one equilibrium?",
    why="It looks like a contradiction in the paper's own figure.",
    experiment=(
        "Runs of equal λₑ and different LR; the difference of their log-norms is measured at equilibrium."
    ),
    claims=("norm-offset", "equilibrium-effective-lr", "lr-wd-equivalence"),
    equation="r*⁴ = ηG²/(λ(2 − ηλ)), so ln r₁ − ln r₂ = ½·ln(η₁/η₂) at equal λₑ",
    answer=(
        "They should part. What is common is the effective LR η/r², and so a larger η needs a larger r: the "
        "log-norms stay ½·ln(η₁/η₂) apart for ever. The function does not see the norm."
    ),
    theory=("relaxation.equilibrium_gamma", "relaxation.equilibrium_effective_lr"),
    open="The paper's figure itself is not reproduced here; the offset explains it if its runs share λₑ.",
)
