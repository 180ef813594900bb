from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.2",
    title="Does the theory hold in a BatchNorm MLP of depth 100, whose gradients explode at initialisation?",
    question=(
        "At initialisation the gradients of a deep BatchNorm MLP grow geometrically towards the input. Does "
        "the net still reach the equilibrium that the theory describes?"
    ),
    why="A theory of normalised nets that fails for deep nets would be of little use.",
    experiment=(
        "A BatchNorm MLP of depth 100 is trained with and without skip connections. The claims measure the "
        "gradient on the unit sphere of each layer, the first step, and the rotation per step afterwards. A "
        "net without normalisation is the control."
    ),
    claims=("deep-bn", "angular-update", "angle-identity", "first-step-bound"),
    equation="r₁² = a² r₀² + η² G²/r₀²;  ‖g₁‖ ≈ r₀/η where η G ≫ r₀²;  1 − cos θ = λₑ at equilibrium",
    answer=(
        "The squared gradient G² on the unit sphere grows by π/(π − 1) ≈ 1.467 per layer (ReLU, large "
        "batches; Yang et al. 2019), and by 1 + 1.1/B times that in batches of B. The first step turns this "
        "gradient into norm: a layer whose gradient exploded jumps from norm r₀ to r₁ ≈ ηG/r₀, and its "
        "gradient is then about r₀/η, whatever G was. From there its norm falls exponentially. Until the "
        "norm is back, the layer hardly rotates at all. The extra time is a logarithm of G², so it is linear "
        "in depth: about 0.383/(4λₑ) steps per layer. At equilibrium every layer rotates by the same angle."
    ),
    theory=(
        "sgd.next_squared_norm_on_sphere",
        "sgd.effective_lr_ceiling",
        "sgd.rotation_cosine",
        "depth.gradient_growth",
    ),
    open=(
        "Only norms, gradients and rotations are shown at depth 100. Functions at depth 100 are not shown: "
        "no claim compares the predictions of such nets, at equilibrium or on the way there. Functions are "
        "compared on nets of two and three layers only. The first step rotates an exploded layer by almost "
        "90 degrees, so the layer forgets its initial direction. The theory does not say what that costs in "
        "accuracy, or whether such a net learns well."
    ),
)
