from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.4",
    title=(
        "BatchNorm helps residual nets because it preserves signals at initialisation: is that in the theory?"
    ),
    question=(
        "Signal propagation at initialisation is a known benefit of BatchNorm in residual nets. Does the "
        "theory include it?"
    ),
    why="If a known mechanism is left out, an experiment may show that mechanism instead.",
    experiment=(
        "Deep nets are trained with and without skip connections. The claims measure the gradients of each "
        "layer at initialisation and the rotations afterwards."
    ),
    claims=("deep-bn", "first-step-bound", "angular-update"),
    equation=(
        "T_l = ln(2λₑG_l²/γ₀)/(4λₑ): the extra time of layer l, where G_l² grows by π/(π − 1) a layer "
        "without skips"
    ),
    answer=(
        "No. The theory contains only one consequence of it: the gradient G_l of each layer l on the unit "
        "sphere. Without skip connections G_l grows with depth and costs a time that is linear in depth. "
        "With skip connections nothing here derives its growth; where G_l stays bounded, so does that time. "
        "Once the norms have returned, all layers rotate alike, with or without skip connections."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "relaxation.memory_rate"),
    open="Why signals propagate, and what that does for the loss: the theory takes G_l as given.",
)
