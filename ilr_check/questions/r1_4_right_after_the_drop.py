from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.4",
    title=(
        "For the best metric right after the drop, should training come from the equilibrium of a small or "
        "of a large learning rate?"
    ),
    question=(
        "The paper says that the equilibrium of a small learning rate is better than that of a large one. If "
        "one only wants the best net shortly after the final drop, from which equilibrium should training "
        "come?"
    ),
    why="This is what people do: they stop soon after the last drop and keep the best checkpoint.",
    experiment=(
        "There are two equilibria, one of a large λₑ and one of a small λₑ. Each is reached with two "
        "learning rates and is followed by a phase with a tiny effective learning rate and no weight decay. "
        "Judged: right after the drop, held-out loss and training loss are the same for both learning rates "
        "at each λₑ, and differ between the two λₑ. Reported with intervals: which λₑ is better at "
        "equilibrium and right after the drop, and the best λₑ of a sweep."
    ),
    claims=("after-the-drop", "two-phases", "equilibrium-forgets"),
    equation="metric after the drop = f(λₑ of the phase before it)",
    answer=(
        "The paper's conjecture says which variable decides: the λₑ of the phase before the drop, and "
        "nothing earlier than about 1/λₑ steps before the drop. The conjecture does not say what the "
        "function f looks like, or whether it rises or falls."
    ),
    open=(
        "The theory does not predict which side is better, or by how much, on data and nets other than those "
        "measured. Equality is shown up to a quarter of the difference that a factor of eight in λₑ makes, "
        "so a smaller effect of the learning rate would pass. Such an effect may last for many times 1/λₑ "
        "steps, because the weights do not mix, and it may last longer in a phase of gradient flow than "
        "under noise. The record shows both learning rates at each λₑ."
    ),
)
