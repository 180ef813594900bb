"""Does the theory hold in a BatchNorm net of depth 100?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.2",
    title="Does it hold in a BatchNorm MLP of depth 100, whose gradients explode at the start?",
    question=(
        "At initialisation the gradients of a deep BatchNorm MLP grow geometrically towards the input. Does "
        "the picture of equilibrium survive that?"
    ),
    why="A theory of normalised nets that fails for deep ones would be of little use.",
    experiment=(
        "A BatchNorm MLP of depth 100 with and without skip connections: gradient on the unit sphere layer "
        "by layer, the first step, and the rotation per step afterwards. A net without normalisation is the "
        "control."
    ),
    claims=("deep-bn", "angular-update", "angle-identity", "first-step-bound"),
    equation="r₁² = a² r₀² + η² G²/r₀²;  ‖g₁‖ ≈ r₀/η where η G ≫ r₀²;  1 − cos θ = λₑ at equilibrium",
    answer=(
        "G² grows by π/(π − 1) ≈ 1.467 a layer (ReLU; Yang et al. 2019). The first step turns this into "
        "norm: an exploded layer jumps to r₁ ≈ ηG/r₀, after which its gradient is about r₀/η whatever G "
        "was. From there its norm falls exponentially, and until it is back the layer hardly turns at all; "
        "the extra time is a logarithm of G², linear in depth: about 0.383/(4λₑ) steps a layer. At "
        "equilibrium every layer turns by the same angle."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "sgd.effective_lr_ceiling", "sgd.rotation_cosine"),
    open=(
        "The first step turns an exploded layer by almost 90 degrees and so forgets its initial direction. "
        "What that costs in accuracy, and whether such a net learns well, the theory does not say."
    ),
)
