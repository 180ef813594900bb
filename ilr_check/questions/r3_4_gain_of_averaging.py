from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.4",
    title="How does the theory explain the gain from averaging weights?",
    question="Averaging weights along a run improves the net. How does that follow from the theory?",
    why=(
        "The gain is large and costs nothing, and a picture in which only the end of training counts does "
        "not explain it."
    ),
    experiment=(
        "Averages of n checkpoints at a fixed distance in steps are taken along one run and across runs, and "
        "the statistics of the norms are estimated anew."
    ),
    claims=("no-parameter-mixing",),
    equation="cos(average, centre) = √ρ_∞ / √(ρ_∞ + (1 − ρ_∞)/n)",
    answer=(
        "At equilibrium a checkpoint has the cosine √ρ_∞ to the centre of its basin, where ρ_∞ is the cosine "
        "of the weights at very long lags. The average of n independent checkpoints comes closer to the "
        "centre, as the equation says. There is a centre only while ρ_∞ is above the cosine between seeds. "
        "Averaging therefore helps along a run and not across initialisations."
    ),
    open=(
        "How much accuracy an angle is worth. That depends on the shape of the loss, which the theory does "
        "not know."
    ),
)
