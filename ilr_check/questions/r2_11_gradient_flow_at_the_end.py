"""Does gradient flow generalise as well as finite learning rates?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.11",
    title="With unlimited compute, does gradient flow generalise as well as a finite LR?",
    question=(
        "The proposed recipe still has a noisy phase first and a flow after it. Is the noisy phase needed?"
    ),
    why="It forces the paper to say what a large LR is for: speed, or quality.",
    experiment=(
        "Two-phase runs: a noisy phase of given λₑ and length in units of 1/λₑ, then a phase of tiny "
        "effective LR without decay. Judged: equal λₑ with another LR, another history, or a flow at half "
        "the LR for twice as long, ends at the same functions and the same held-out loss; four times λₑ "
        "does not."
    ),
    claims=("two-phases", "init-lr-forgotten", "after-the-drop"),
    equation="final metric = f(λₑ of the noisy phase) once it lasts ≫ 1/λₑ steps",
    answer=(
        "The reading of the paper is: final quality is a function of the λₑ of the noisy phase, and a large "
        "LR first is needed because small λₑ takes 1/λₑ steps. The limit λₑ → 0 after infinite time is not "
        "gradient flow from the initialisation; the two limits need not agree."
    ),
    open="Whether f has its best value at λₑ → 0. The theory has no answer, only the variable.",
)
