from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.1",
    title=(
        "WeightNorm with injected noise fits the theory best, yet does worse than BatchNorm: what is missing?"
    ),
    question=(
        "The analysis assumes a Wiener process and the limit of small steps. WeightNorm with added noise "
        "meets these assumptions better than BatchNorm does. Does it obey the laws, and why does it not "
        "perform as well?"
    ),
    why="The question takes the assumptions literally and asks where they lead.",
    experiment=(
        "A WeightNorm net is trained with tangent noise that scales as 1/r and has the same trace as the "
        "noise of the BatchNorm net. The exact laws, the equilibrium and the time to reach it are judged. "
        "The held-out accuracy of WeightNorm with and without this noise is reported beside that of "
        "BatchNorm, with intervals, and not judged."
    ),
    claims=("other-norms", "not-gaussian", "noise-covariance", "norm-recursion"),
    equation="Σ(cw) = Σ(w)/c², Σ(w)w = 0 ⇒ the same dγ/dt = −4λₑγ + 2 Tr Σ",
    answer=(
        "It obeys the same laws of norm and rotation with the same accuracy. So the theory describes what "
        "both have in common, and that is only a part of what BatchNorm does. Noise of a fixed size, which "
        "does not scale as 1/r, breaks the symmetry: then r*² ~ ησ²d/(2λ) for d coordinates with noise of "
        "variance σ² each."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "relaxation.gamma_path"),
    open=(
        "The difference in performance between WeightNorm and BatchNorm. The theory does not predict it, in "
        "size or in sign. It is reported for one small net on digits."
    ),
)
