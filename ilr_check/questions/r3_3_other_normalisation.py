"""Does the method carry over to other normalisation schemes?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.3",
    title="Does it carry over to other normalisation schemes?",
    question=(
        "The introduction speaks of normalisation in general, the experiments of BatchNorm. What of the "
        "others?"
    ),
    why="Transformers have LayerNorm and RMSNorm; a law of BatchNorm alone would not reach them.",
    experiment="See R2.3: each norm with its own invariant groups, found by probing and checked exactly.",
    claims=("other-norms", "invariance-by-norm", "eps-law"),
    equation="L(cw) = L(w) for a group of weights w is all that is needed",
    answer=(
        "Yes, wherever a group of weights is scale-invariant. Which groups are depends on the norm and on "
        "the wiring: not the last norm's affine pair, not a residual writer alone, not one row under "
        "LayerNorm. An eps above 0 breaks it by exactly −2·eps·∂L/∂eps, as a small extra decay."
    ),
    theory=("invariance.euler_sum", "norm_eps.radial_product"),
    open="Weights that no norm follows. For them the theory says nothing.",
)
