from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.4",
    title="Is the noise of successive steps independent, as the analysis assumes?",
    question=(
        "The analysis is about normalisation with independent noise. In practice the examples of an epoch "
        "are shuffled and not drawn independently. Does this matter?"
    ),
    why="If an assumption is wrong but does not matter, this should be known.",
    experiment=(
        "The autocorrelation of the batch noise is measured at each lag, for batches drawn with replacement "
        "and within shuffled epochs."
    ),
    claims=("noise-independence", "not-gaussian"),
    equation=(
        "correlation at a lag: 0 with replacement; −1/(N/B − 1) inside a shuffled epoch of N/B batches"
    ),
    answer=(
        "With replacement the noise is independent. In a shuffled epoch the batches sum to the full "
        "gradient, so the noise is slightly anti-correlated. The recursion of the norm does not need "
        "independence. Independence may matter for the law of the direction if an epoch is shorter than 1/λₑ "
        "steps. The memory of the direction then spans many epochs, and in each of them the noise nearly "
        "sums to zero."
    ),
    theory=("sgd.next_squared_norm",),
    open="Noise of data augmentation, and correlations that come from the batch statistics of BatchNorm.",
)
