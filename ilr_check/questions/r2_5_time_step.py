"""Does it matter that the time step is not the learning rate?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.5",
    title="Usually dt is the LR; does an SDE with a clock of its own change the analysis?",
    question=(
        "The usual SDE of SGD sets one step to a time of η. Here a step is a time of 1. Does anything "
        "depend on it?"
    ),
    why="Two papers can only be compared if their clocks can be converted.",
    experiment=(
        "It is a change of variable, so a unit test of the closed forms suffices. The path of the norm in "
        "steps is judged against runs."
    ),
    claims=("gamma-ode", "norm-recursion"),
    equation="t′ = ηt:  dγ/dt′ = −4λγ + 2 Tr Σ/η, the same path as dγ/dt = −4ηλγ + 2 Tr Σ",
    answer="Nothing changes but the clock: the same path, read at other times. Steps are used throughout.",
    theory=("relaxation.gamma_path", "relaxation.memory_rate"),
    open="Nothing at constant η. Where η varies, steps are the only clock that is not itself scheduled.",
)
