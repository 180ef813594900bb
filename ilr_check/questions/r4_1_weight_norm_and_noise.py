"""Why does WeightNorm with added noise not reach BatchNorm?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.1",
    title=(
        "WeightNorm with injected noise fits the theory best, yet does worse than BatchNorm: what is missing?"
    ),
    question=(
        "The analysis assumes a Wiener process and a limit of small steps. WeightNorm plus noise meets that "
        "better than BatchNorm. Does it obey the laws, and why does it not perform as well?"
    ),
    why="It takes the assumptions at their word and looks at where they lead.",
    experiment=(
        "A WeightNorm net with tangent noise scaled as 1/r, its trace matched to that of the BatchNorm net: "
        "exact laws, equilibrium, time to it."
    ),
    claims=("other-norms", "not-gaussian", "noise-covariance", "norm-recursion"),
    equation="Σ(cw) = Σ(w)/c², Σ(w)w = 0 ⇒ the same dγ/dt = −4λₑγ + 2 Tr Σ",
    answer=(
        "It obeys the same laws of norm and rotation, to the same accuracy. So the theory describes what "
        "both have in common and is only a part of what BatchNorm does. Noise of fixed size, not scaled by "
        "1/r, breaks the symmetry: then r*² ~ ησ²d/(2λ) for d coordinates."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "relaxation.gamma_path"),
    open="The gap in performance between WeightNorm and BatchNorm.",
)
