"""From which equilibrium is the metric right after a drop best?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.4",
    title="For the best metric right after the drop, come from the small-LR or the large-LR equilibrium?",
    question=(
        "Equilibria of small LR are said to be better than those of large LR. If one only wants the best "
        "net shortly after the final drop, which one should training come from?"
    ),
    why="That is what people do: they stop soon after the last drop and keep the best checkpoint.",
    experiment=(
        "Two equilibria, of a large and of a small λₑ, each reached with two LRs and followed by a phase of "
        "tiny effective LR without decay. Judged: right after the drop, held-out and training loss are the "
        "same for both LRs at either λₑ, and not for both λₑ. Reported with intervals: which λₑ is better, "
        "at equilibrium and right after the drop, and the best λₑ of a sweep."
    ),
    claims=("after-the-drop", "two-phases", "equilibrium-forgets"),
    equation="metric after the drop = f(λₑ of the phase before it)",
    answer=(
        "The conjecture says which variable decides: the λₑ of the phase before the drop, and nothing "
        "earlier than about 1/λₑ steps before it. It gives f no shape and no sign."
    ),
    open=(
        "Which side is better, and by how much, on other data and nets than those measured: theory gives no "
        "sign. Equality is shown up to a quarter of what eight times λₑ makes, so a smaller trace "
        "of the LR passes. One may last for many times 1/λₑ, longer in a phase of flow than in the noise, as "
        "the weights do not mix; the record shows both LRs at either λₑ."
    ),
)
