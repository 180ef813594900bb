"""What does the intrinsic learning rate say of large-batch training?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.1",
    title="What does the intrinsic LR say about training with large batches?",
    question="Large-batch training is mentioned as related work and then dropped. How does λₑ enter it?",
    why="Scaling rules for large batches are where LR, decay and noise meet in practice.",
    experiment="Batch size times k with λₑ times k, through η and through λ; where does it break?",
    claims=("batch-size", "svag"),
    equation="r*⁴′/r*⁴ = (k‖∇L‖² + Tr Σ)/(‖∇L‖² + Tr Σ) for B → kB, η → kη",
    answer=(
        "The linear scaling rule is λₑ/B constant, and η and λ may share it as they like. It needs noise to "
        "dominate: it breaks at about k = Tr Σ/‖∇L‖². The number of steps to equilibrium falls by k, the "
        "number of examples stays."
    ),
    theory=("relaxation.equilibrium_gamma",),
    open="Adaptive optimizers scale with √k and need their own rule for the decay; not measured here.",
)
