from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.3",
    title="Does the theory carry over to other normalisation schemes?",
    question=(
        "The introduction speaks of normalisation in general, and the experiments use BatchNorm. What about "
        "the other schemes?"
    ),
    why="Transformers have LayerNorm and RMSNorm. A law of BatchNorm alone would not apply to them.",
    experiment=(
        "See R2.3: each norm has its own invariant groups. They are found by probing and checked exactly."
    ),
    claims=("other-norms", "invariance-by-norm", "eps-law"),
    equation="L(cw) = L(w) for a group of weights w is all that is needed",
    answer=(
        "Yes, wherever a group of weights is scale-invariant. Which groups are invariant depends on the norm "
        "and on the wiring. The following are not: the affine parameters of the last norm, the weights that "
        "write to a residual stream when they are scaled alone, and a single row under LayerNorm. An eps "
        "above 0 breaks the invariance by exactly −2·eps·∂L/∂eps, which acts as a small extra weight decay."
    ),
    theory=("invariance.euler_sum", "norm_eps.radial_product"),
    open="Weights that no norm follows. The theory says nothing about them.",
)
