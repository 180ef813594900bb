"""What does the intrinsic learning rate say of large-batch training?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.1",
    title="What does the intrinsic LR say about training with large batches?",
    question="Large-batch training is mentioned as related work and then dropped. How does λₑ enter it?",
    why="Scaling rules for large batches are where LR, decay and noise meet in practice.",
    experiment=(
        "Batch size and η times k, up to batches where the mean gradient outweighs a good part of the noise: "
        "is its part of r⁴ there, as large as other runs say? Two batch sizes at equal λₑ/B, through η and "
        "through λ, followed by SVAG to small steps."
    ),
    claims=("batch-size", "svag"),
    equation="r*⁴′/r*⁴ = (k‖∇L‖² + Tr Σ)/(‖∇L‖² + Tr Σ) for B → kB, η → kη",
    answer=(
        "The linear scaling rule is λₑ/B constant, and η and λ may share it as they like. It needs noise to "
        "dominate: it breaks at about k = Tr Σ/‖∇L‖², where the mean gradient doubles r⁴. The equation "
        "wants ‖∇L‖² and Tr Σ of the scaled run: both grow along the way, since at finite λₑ the loss rises "
        "with k, so that the break comes earlier than the small batch foretells. The number of steps to "
        "equilibrium falls by k, the number of examples stays."
    ),
    theory=("batches.scaled_fourth_power", "relaxation.equilibrium_gamma"),
    open=(
        "What the break does to the loss is reported and not predicted. Adaptive optimizers scale with √k "
        "and need their own rule for the decay; not measured here."
    ),
)
