"""What does the theory say of warm-up with linear decay?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.5",
    title="What about warm-up with linear decay, where the LR matters far more than the weight decay?",
    question=(
        "Under this schedule results depend strongly on the LR and weakly on the weight decay. How does "
        "that agree with a theory in which only their product counts?"
    ),
    why=(
        "It is the schedule of most large models, and the plain reading of the theory contradicts experience."
    ),
    experiment=(
        "The effective LR is predicted along warm-up with linear decay, cosine and step schedules, from "
        "noise that was measured on other runs, and compared with the measured one; the rival is "
        "equilibrium at every moment. The cap on the effective LR after one step is checked exactly."
    ),
    claims=("schedule-law", "first-step-bound", "gamma-ode"),
    equation="∂ln effLR/∂ln η − ∂ln effLR/∂ln λ = (γ₀/γ_T)·e^(−4λₑT);  effLR after a step ≤ 1/(2|a|·G)",
    answer=(
        "“Only λₑ matters” is a statement about long runs at constant LR. Its gap is the memory of the "
        "initial norm: while 4λₑT is below about 1, the LR counts fully and the decay hardly. In a linear "
        "decay the norm stands still over the last (2λₑT)^(−1/2) of training, in a cosine over the last "
        "(3/(π²λₑT))^(1/3): there the effective LR follows η, not √η. Warm-up avoids the opposite: a large "
        "first step inflates the norm, and then a larger LR gives a smaller effective LR."
    ),
    theory=("sgd.effective_lr_ceiling", "sgd.squared_norm_path", "relaxation.gamma"),
    open="Why such schedules give better nets. The theory tells the effective LR, not what it is good for.",
)
