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
        "LayerNorm and GroupNorm nets, batches drawn with replacement (BatchNorm would change the loss "
        "itself): the trace of the noise at several B; r⁴ at several B and λₑ against the trace of one "
        "example, measured on other runs; loss and effective LR/B of two batch sizes at equal λₑ/B, beside a "
        "control of another λₑ/B, each followed by SVAG to the limit of small steps."
    ),
    claims=("batch-size", "svag", "equilibrium-effective-lr", "noise-independence"),
    equation="Tr Σ_B = Tr Σ₁/B;  effLR* = √(2λₑB/Tr Σ₁);  temperature effLR*/B = √(2λₑ/(B·Tr Σ₁))",
    answer=(
        "λₑ/B is the temperature: in the limit of small steps the equilibrium of functions depends on it "
        "alone, while the time to reach it stays 1/λₑ steps. At finite λₑ the loss and the norm move away "
        "from that limit in proportion to λₑ, so that equal λₑ/B is not equal loss. Scaling B by k asks for "
        "λₑ times k, through η or through λ alike; it works while noise dominates, and no more where k "
        "reaches Tr Σ/‖∇L‖². SVAG of order l: r*⁴ is linear in 1/l, and its intercept is the SDE."
    ),
    theory=("batches.batch_trace", "batches.svag_fourth_power", "relaxation.equilibrium_effective_lr"),
    open=(
        "BatchNorm nets, where B is part of the loss: the theory holds at each B but does not compare them. "
        "The limit is judged by mean loss and norm, not by the distribution of functions; how far from it a "
        "given λₑ is has no closed form here."
    ),
)
