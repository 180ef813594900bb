from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.11",
    title="With unlimited compute, does gradient flow generalise as well as a finite learning rate?",
    question=(
        "The recipe that the paper proposes still has a noisy phase first and a phase of gradient flow after "
        "it. Is the noisy phase needed?"
    ),
    why="The answer forces the paper to say what a large learning rate is for: speed or quality.",
    experiment=(
        "Each run has two phases: a noisy phase with a given λₑ and a length in units of 1/λₑ, and then a "
        "phase with a tiny effective learning rate and no weight decay. Judged: a run with the same λₑ but "
        "another learning rate, another history, or a flow at half the learning rate for twice as long ends "
        "at the same functions and the same held-out loss. A run with four times λₑ does not."
    ),
    claims=("two-phases", "init-lr-forgotten", "after-the-drop"),
    equation="final metric = f(λₑ of the noisy phase) once it lasts ≫ 1/λₑ steps",
    answer=(
        "The paper can be read as follows. The final quality is a function f of the λₑ of the noisy phase. A "
        "large learning rate is needed first because a small λₑ takes 1/λₑ steps. The limit λₑ → 0 after "
        "infinite time is not gradient flow from the initialisation; the two limits need not agree."
    ),
    open=(
        "Whether f has its best value at λₑ → 0. The theory gives no answer to this; it only names the "
        "variable that decides."
    ),
)
