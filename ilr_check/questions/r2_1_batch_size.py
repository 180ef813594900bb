from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.1",
    title="Where is the batch size in this theory?",
    question=(
        "Without weight decay, η/B acts as a temperature, where B is the batch size. This is why SGD can be "
        "described by a stochastic differential equation (SDE) at all. What does the batch size do in the "
        "scale-invariant SDE?"
    ),
    why="It says which runs the SDE describes, and how to change the batch size without changing the result.",
    experiment=(
        "The nets have LayerNorm or GroupNorm, because with BatchNorm the batch size changes the loss "
        "itself. Batches are drawn with replacement. The claims judge the trace of the noise at several B, "
        "and r⁴ at several B and λₑ against the trace for one example, which is measured on other runs. They "
        "compare loss and (effective learning rate)/B of two batch sizes at equal λₑ/B, with another λₑ/B as "
        "the control. Each is followed to the limit of small steps with SVAG, a method that splits each step "
        "of SGD into smaller and noisier ones."
    ),
    claims=("batch-size", "svag", "equilibrium-effective-lr", "noise-independence"),
    equation="Tr Σ_B = Tr Σ₁/B;  effLR* = √(2λₑB/Tr Σ₁);  temperature effLR*/B = √(2λₑ/(B·Tr Σ₁))",
    answer=(
        "The ratio λₑ/B is the temperature. In the limit of small steps the equilibrium of functions depends "
        "on it alone, while the time to reach equilibrium stays 1/λₑ steps. At finite λₑ the loss and the "
        "norm move away from that limit in proportion to λₑ, so equal λₑ/B does not mean equal loss. If B is "
        "multiplied by k, λₑ must be multiplied by k as well, through η or through λ. This works while noise "
        "dominates the gradient, and it stops where k reaches Tr Σ/‖∇L‖². With SVAG of order l, r*⁴ is "
        "linear in 1/l, and its intercept is the value of the SDE."
    ),
    theory=("batches.batch_trace", "batches.svag_fourth_power", "relaxation.equilibrium_effective_lr"),
    open=(
        "In BatchNorm nets B is part of the loss. The theory holds at each B but does not compare different "
        "B. The limit is judged by mean loss and norm, not by the distribution of functions. There is no "
        "closed form here for how far from the limit a given λₑ is."
    ),
)
