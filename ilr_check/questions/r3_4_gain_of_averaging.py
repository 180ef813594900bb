"""Does the theory explain the gain of averaging weights?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.4",
    title="How does it explain the gain from averaging weights?",
    question="Averaging along a run improves the net. Where does that come out of the theory?",
    why=(
        "The gain is large, free and unexplained by a picture in which the end of training is all there is."
    ),
    experiment=(
        "Averages of n checkpoints a lag apart, along one run and across runs, with norm statistics "
        "estimated anew."
    ),
    claims=("no-parameter-mixing",),
    equation="cos(average, centre) = √ρ_∞ / √(ρ_∞ + (1 − ρ_∞)/n)",
    answer=(
        "At equilibrium a checkpoint stands at a cosine √ρ_∞ from the centre of its basin; the average of n "
        "independent ones comes closer, as above. There is a centre only while ρ_∞ is above the cosine "
        "between seeds, hence a gain along a run and none across initialisations."
    ),
    open=(
        "How much accuracy an angle is worth: that is the shape of the loss, which the theory does not know."
    ),
)
