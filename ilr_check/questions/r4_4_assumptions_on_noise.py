"""Is the noise of the steps independent, as the analysis assumes?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.4",
    title="Is the noise of successive steps independent, as the analysis assumes?",
    question=(
        "The analysis is one of normalisation plus independent noise. Epochs are shuffled, not drawn: does "
        "it matter?"
    ),
    why="A wrong assumption that happens not to matter should be known as such.",
    experiment=(
        "Autocorrelation of the batch noise at each lag, with replacement and inside shuffled epochs."
    ),
    claims=("noise-independence", "not-gaussian"),
    equation=(
        "correlation at a lag: 0 with replacement; −1/(N/B − 1) inside a shuffled epoch of N/B batches"
    ),
    answer=(
        "With replacement it is independent. In a shuffled epoch the batches sum to the full gradient, so "
        "the noise is slightly anti-correlated. The recursion of the norm does not ask for independence; it "
        "may matter to the law of the direction if an epoch is shorter than 1/λₑ: then a memory of the "
        "direction spans many epochs, and in each the noise nearly sums to zero."
    ),
    theory=("sgd.next_squared_norm",),
    open="Noise of augmentation, and correlations that come from BatchNorm's statistics of a batch.",
)
