from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.10",
    title=(
        "Does the fast late decay of a cosine help because it prevents equilibrium, and where is the optimum?"
    ),
    question=(
        "Step schedules let the net reach equilibrium after each drop. A rapid decay may help because it "
        "prevents that. Is this so, and which learning rate is best if the sweep goes low enough?"
    ),
    why=(
        "The paper's conclusion about small learning rates rests on schedules that few people would use "
        "today."
    ),
    experiment=(
        "The effective learning rate along a cosine is compared with the prediction, together with the point "
        "at which the norm stops changing. A sweep goes down in λₑ, past the optimum where there is one. It "
        "reports the held-out loss at equilibrium and after a phase with a tiny effective learning rate and "
        "no weight decay, and it lists the levels of λₑ that may be the best."
    ),
    claims=("after-the-drop", "schedule-law", "drop-before-equilibrium"),
    equation="the norm freezes where 4λ·∫ₜᵀη < 1: the last (3/(π²λₑT))^(1/3) of a cosine",
    answer=(
        "The end of a cosine is indeed out of equilibrium: the norm stops changing, and the effective "
        "learning rate falls with η. The theory does not say whether that is why a cosine works. It says "
        "only that the end of the cosine is short compared with the time that functions need to reach "
        "equilibrium."
    ),
    theory=("sgd.squared_norm_path", "relaxation.memory_rate"),
    open=(
        "The theory predicts neither the optimal λₑ nor the reason for it. The sweep finds the optimum for "
        "the nets and data that were tried, or says that it lies at or below the smallest λₑ tested. No "
        "other schedule is compared with a cosine at equal cost."
    ),
)
