"""Is BatchNorm's effect on signal propagation in the theory?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.4",
    title="BatchNorm helps residual nets by keeping signals alive at the start: is that in the theory?",
    question=(
        "Signal propagation at initialisation is a known benefit of BatchNorm in residual nets. Is it "
        "captured?"
    ),
    why="A mechanism that is known and left out may be what an experiment really shows.",
    experiment=(
        "Deep nets with and without skip connections: gradients by layer at the start, rotations afterwards."
    ),
    claims=("deep-bn", "first-step-bound", "angular-update"),
    equation=(
        "T_l = ln(2λₑG_l²/γ₀)/(4λₑ): the extra time of layer l, where G_l² grows by π/(π − 1) a layer "
        "without skips"
    ),
    answer=(
        "No. Only its trace is in it: the gradient G_l on the unit sphere of each layer. Without skips it "
        "grows with depth and costs time linear in depth. With skips nothing here derives its growth; where "
        "it stays bounded, so does that time. Once the norms are back, all layers turn alike, with or "
        "without skips."
    ),
    theory=("sgd.next_squared_norm_on_sphere", "relaxation.memory_rate"),
    open="Why signals propagate, and what that does for the loss: the theory takes G_l as given.",
)
