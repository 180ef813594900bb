from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.5",
    title="Usually dt is the learning rate; does an SDE with a clock of its own change the analysis?",
    question=(
        "The usual SDE of SGD counts one step as a time of η. Here one step is a time of 1. Does any result "
        "depend on this choice?"
    ),
    why="Two papers can only be compared if their time units can be converted.",
    experiment=(
        "It is a change of variable, so a unit test of the closed forms is enough. The path of the norm, "
        "counted in steps, is judged against runs."
    ),
    claims=("gamma-ode", "norm-recursion"),
    equation="t′ = ηt:  dγ/dt′ = −4λγ + 2 Tr Σ/η, the same path as dγ/dt = −4ηλγ + 2 Tr Σ",
    answer=(
        "Only the clock changes: the path is the same, read at other times. This project counts time in "
        "steps throughout."
    ),
    theory=("relaxation.gamma_path", "relaxation.memory_rate"),
    open="Nothing at constant η. Where η varies, steps are the only clock that is not itself scheduled.",
)
