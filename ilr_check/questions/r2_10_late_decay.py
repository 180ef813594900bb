"""Is rapid late decay good because it prevents equilibrium?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.10",
    title=(
        "Is the fast late decay of a cosine good because it prevents equilibrium? And where is the optimum?"
    ),
    question=(
        "Step schedules let the net equilibrate after each drop, and a rapid decay may help by not doing "
        "so. Is that so, and which LR is best if the sweep goes low enough?"
    ),
    why="The paper's conclusion on small LRs rests on schedules that few would use today.",
    experiment=(
        "Effective LR along a cosine against the prediction, with the point at which the norm freezes; a "
        "sweep of λₑ down, past the optimum where there is one, for the held-out loss at equilibrium and for "
        "the one after a phase of tiny effective LR without decay, with the levels that may be the best."
    ),
    claims=("after-the-drop", "schedule-law", "drop-before-equilibrium"),
    equation="the norm freezes where 4λ·∫ₜᵀη < 1: the last (3/(π²λₑT))^(1/3) of a cosine",
    answer=(
        "The tail of a cosine is indeed out of equilibrium: the norm stands still and the effective LR goes "
        "down with η. Whether that is why it works is not a statement of the theory, which says only that "
        "the tail is short compared with the time that functions need to equilibrate."
    ),
    theory=("sgd.squared_norm_path", "relaxation.memory_rate"),
    open=(
        "The optimum of λₑ and its reason: the sweep finds it for the nets and data tried, or says that it "
        "lies at or below the smallest λₑ tested; nothing predicts it. No other schedule is compared with a "
        "cosine at equal cost."
    ),
)
