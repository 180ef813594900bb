from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.a",
    title=(
        "After the learning rate is divided by 10, is the effective learning rate in the end only √10 lower?"
    ),
    question=(
        "The theory says that dividing the learning rate by 10 first divides the effective learning rate by "
        "10, and that this is then partly undone, so that in the end the effective learning rate is only √10 "
        "lower. Where is that measured?"
    ),
    why=(
        "It is the sharpest number of the theory. A wrong power in the equilibrium norm, or a net that was "
        "not in equilibrium, gives another number."
    ),
    experiment=(
        "Nets are trained to equilibrium, the learning rate is divided by k = 2, 4, 10 and 100, and η/r² of "
        "each invariant group is followed. The jump at the drop is judged step by step. The curve and its "
        "end are judged against noise that was measured on other runs. Dividing the weight decay instead has "
        "to end at the same value. Equilibria for λₑ from 0.03 down to 0.0003 show the limit of the raw "
        "power, with label noise, with clean labels, and with noise of constant trace."
    ),
    claims=(
        "sqrt-recovery",
        "immediate-drop",
        "equilibrium-effective-lr",
        "wd-drop",
        "lr-drop-is-rescale",
        "adaptive-recovery",
    ),
    equation="effLR(t)/effLR(0) = [k + (k² − k)·e^(−4λₑ′t)]^(−1/2)",
    answer=(
        "It is 1/k lower at once, because r has not moved. It is 1/√k lower in the end, because r* is "
        "proportional to (η/λ)^(1/4). With λₑ′ for the intrinsic learning rate after the drop, it takes "
        "0.36, 0.91 and 1.51 times 1/λₑ′ steps to come within 10 % of the end for k = 2, 10 and 100. The "
        "value √10 supposes that the gradient noise G² has the same size before and after the drop. "
        "Otherwise the end is 1/√k times √(G² before / G² after). AdamW and Lion also end at 1/√k, and Adam "
        "with L2 ends at k^(−2/3)."
    ),
    theory=("relaxation.change_curve", "relaxation.change_curve_discrete", "relaxation.time_to_within"),
    open=(
        "The theory does not predict how the size of the noise itself changes with the learning rate. If the "
        "net can fit the labels, the noise vanishes with the loss, and then nothing says that the raw number "
        "is √10. Label noise (labels drawn anew at every step) keeps the gradient noise alive, but nothing "
        "fixes its size on the unit sphere. There too the raw power need not be 1/2 in the range of λₑ that "
        "can be trained."
    ),
)
