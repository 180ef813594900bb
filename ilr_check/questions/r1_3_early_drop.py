from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.3",
    title=(
        "What if the learning rate drops before equilibrium, and do usual recipes reach equilibrium at all?"
    ),
    question=(
        "In practice the learning rate is often cut early. Does that make the net better or worse, and is "
        "the usual number of epochs enough to reach equilibrium?"
    ),
    why=(
        "If usual training never reaches equilibrium, statements about equilibrium explain nothing about "
        "usual training."
    ),
    experiment=(
        "The learning rate is divided by ten after 0.1, 0.3, 1 and 3 times 1/λₑ steps. Two things are "
        "judged. First, the norm's memory of its start and the whole path of the norm after the drop must "
        "follow from the noise of other runs. Second, the predictions of the nets at the moment of the drop "
        "must differ from those at equilibrium after 0.1 and 0.3 times 1/λₑ, and must no longer differ after "
        "3 times. The held-out loss at the end of one budget of steps is reported for each time of the drop. "
        "Usual recipes are run on a small net, without momentum, at a larger λₑ and with their own progress "
        "4λₑt in every phase. Along them the norm must follow from the noise of other runs too. The record "
        "says how much of the norm at its start each phase remembers, and by how much predictions and loss "
        "at its end depend on the initial norm. A table of closed forms has all recipes."
    ),
    claims=("drop-before-equilibrium", "schedule-law", "relaxation-rate"),
    equation="progress s = 4λₑt, memory m = (γ₀/γ_t)·e^(−s); time constant of the norm 1/(4λₑ)",
    answer=(
        "The time constant of the norm is 1/(4λₑ) steps. With learning rate 0.1, weight decay 5e-4 and no "
        "momentum it is 5000 steps, which is 12.8 epochs of CIFAR-10 in batches of 128. It is ten times "
        "longer after the learning rate was divided by 10, and a hundred times longer after it was divided "
        "by 100. With momentum 0.9 each of these is ten times shorter. So the first phase of the recipe "
        "reaches equilibrium and the last phases do not: after them the weights still carry the norm of the "
        "phase before."
    ),
    theory=("progress.sgd_progress", "progress.memory", "relaxation.memory_rate", "momentum.intrinsic_lr"),
    open=(
        "The theory does not predict whether an early drop improves or worsens the metric. This is measured "
        "for each net, at one budget of steps and one size of the drop. Between 0.3 and 3 times 1/λₑ the "
        "theory has no constant that says when the functions have reached equilibrium. The recipes are not "
        "run on their own nets and at their own λₑ, and those with AdamW are not run at all."
    ),
)
