from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.1",
    title="What does the intrinsic learning rate say about training with large batches?",
    question=(
        "The paper mentions large-batch training as related work and does not return to it. How does λₑ "
        "enter large-batch training?"
    ),
    why="Scaling rules for large batches are where learning rate, weight decay and noise meet in practice.",
    experiment=(
        "Batch size B and η are multiplied by k, up to batches where the mean gradient is comparable to the "
        "noise. The claim judges whether the part of r⁴ that the mean gradient causes there is as large as "
        "other runs predict. Two batch sizes at equal λₑ/B, reached through η and through λ, are followed to "
        "small steps with SVAG, a method that splits each step of SGD into smaller and noisier ones."
    ),
    claims=("batch-size", "svag"),
    equation="r*⁴′/r*⁴ = (k‖∇L‖² + Tr Σ)/(‖∇L‖² + Tr Σ) for B → kB, η → kη",
    answer=(
        "The linear scaling rule says that λₑ/B is constant, and η and λ may share the change in any way. "
        "The rule needs noise that dominates the gradient. It fails at about k = Tr Σ/‖∇L‖², where the mean "
        "gradient doubles r⁴. The equation needs ‖∇L‖² and Tr Σ of the scaled run. Both grow with k, because "
        "at finite λₑ the loss rises with k, so the rule fails earlier than the small batch predicts. The "
        "number of steps to equilibrium falls by the factor k, and the number of examples stays the same."
    ),
    theory=("batches.scaled_fourth_power", "relaxation.equilibrium_gamma"),
    open=(
        "What this failure does to the loss is reported and not predicted. Adaptive optimizers scale with √k "
        "and need a rule of their own for the weight decay; this is not measured here."
    ),
)
