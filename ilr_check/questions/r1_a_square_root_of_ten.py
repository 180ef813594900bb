"""Does the effective learning rate come back to one over the square root of ten?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.a",
    title="After the LR is cut by 10, does the effective LR end only √10 lower?",
    question=(
        "The theory says that a cut of the LR by 10 is felt in full at once and then partly undone, so that "
        "in the end the effective LR is lower by √10 only. Where is that measured?"
    ),
    why=(
        "It is the sharpest number the theory has: a wrong power of the equilibrium norm, or a net that was "
        "not in equilibrium, gives another one."
    ),
    experiment=(
        "Nets are trained to equilibrium, the LR is divided by k = 2, 4, 10 and 100, and η/r² of each "
        "invariant group is followed. The jump at the drop is judged step by step, the curve and its end "
        "against noise measured on other runs. Dropping the decay instead has to end at the same place. "
        "Equilibria along λₑ from 0.03 down to 0.0003 show what the raw power tends to, with labels that are "
        "redrawn, with clean ones, and with noise of constant trace."
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
        "1/k at once, because r has not moved; 1/√k in the end, because r* ~ (η/λ)^(1/4). It takes 0.36, "
        "0.91 and 1.51 times 1/λₑ′ steps to come within 10 % of the end for k = 2, 10 and 100. √10 supposes "
        "noise of the same size before and after; the end is 1/√k times √(G² before / G² after) otherwise. "
        "AdamW and Lion end at 1/√k too, Adam with L2 at k^(−2/3)."
    ),
    theory=("relaxation.change_curve", "relaxation.change_curve_discrete", "relaxation.time_to_within"),
    open=(
        "How the size of the noise itself answers to the LR. For labels that the net can fit, the noise "
        "dies with the loss, and then nothing says that the raw number is √10. Labels that are redrawn keep "
        "the noise alive, but nothing fixes its size on the unit sphere, so that there too the raw power "
        "need not be 1/2 within reach."
    ),
)
