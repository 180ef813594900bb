"""What is the role of the batch size?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.1",
    title="Where is the batch size in this theory?",
    question=(
        "Without weight decay η/B acts as a temperature, which is what lets one approach the SDE at all. "
        "What does the batch size do in the scale-invariant SDE?"
    ),
    why=(
        "It says which runs the SDE describes, and how to change the batch size without changing the result."
    ),
    experiment=(
        "A grid of λₑ and batch sizes on nets with GroupNorm and LayerNorm, drawn with replacement "
        "(BatchNorm would change the loss itself): trace of the noise, equilibrium, collapse on λₑ/B. SVAG "
        "goes on below a batch of 1 towards the SDE."
    ),
    claims=("batch-size", "svag", "equilibrium-effective-lr", "noise-independence"),
    equation="Tr Σ_B = Tr Σ₁/B;  effLR* = √(2λₑB/Tr Σ₁);  temperature effLR*/B = √(2λₑ/(B·Tr Σ₁))",
    answer=(
        "λₑ/B is the temperature: the equilibrium of functions depends on it alone, while the time to reach "
        "it stays 1/λₑ steps. Scaling B by k asks for λₑ times k, through η or through λ alike. It breaks "
        "where k reaches Tr Σ/‖∇L‖², and at large λₑ, where the discrete steps show. SVAG of order l: r*⁴ "
        "is linear in 1/l, and its intercept is the SDE."
    ),
    theory=("relaxation.equilibrium_effective_lr", "relaxation.equilibrium_gamma"),
    open=(
        "BatchNorm nets, where B is part of the loss: the theory holds at each B but does not compare them."
    ),
)
