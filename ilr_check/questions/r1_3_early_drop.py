"""What if the learning rate is dropped before equilibrium?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.3",
    title="What if the LR drops before equilibrium, and do usual recipes get there at all?",
    question=(
        "In practice the LR is often cut early. Is the net better or worse for it, and does the usual "
        "number of epochs suffice for equilibrium?"
    ),
    why=(
        "If usual training never gets there, statements about equilibrium explain nothing about usual "
        "training."
    ),
    experiment=(
        "The LR is divided by ten after 0.1, 0.3, 1 and 3 times 1/λₑ steps. Judged: the norm's memory of its "
        "start, and the whole path of the norm after the drop, follow from the noise of other runs; what the "
        "nets predict as the LR drops differs from equilibrium after 0.1 and 0.3 and no longer after 3. "
        "Reported: the held-out loss at the end of one budget of steps, by when the drop came, and a table "
        "of how far usual recipes get."
    ),
    claims=("drop-before-equilibrium", "schedule-law", "relaxation-rate"),
    equation="progress s = 4λₑt, memory m = (γ₀/γ_t)·e^(−s); time constant of the norm 1/(4λₑ)",
    answer=(
        "The norm's time constant is 1/(4λₑ) steps. LR 0.1 and decay 5e-4 without momentum: 5000 steps, "
        "which is 12.8 epochs of CIFAR-10 in batches of 128; ten times as many after a drop by 10, a "
        "hundred times after a drop by 100. With momentum 0.9 each is ten times shorter. So the first phase "
        "gets there and the last ones do not: after them the weights still carry the norm of the phase "
        "before."
    ),
    theory=("progress.sgd_progress", "progress.memory", "relaxation.memory_rate", "momentum.intrinsic_lr"),
    open=(
        "Whether an early drop helps or hurts the metric has no sign in the theory; it is measured, net by "
        "net, at one budget of steps and one size of the drop. Between 0.3 and 3 times 1/λₑ theory has no "
        "constant that says from when on the functions are at equilibrium."
    ),
)
