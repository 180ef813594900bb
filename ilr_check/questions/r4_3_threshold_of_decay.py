"""Below which weight decay does nothing mix?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.3",
    title="Below which weight decay do the parameters no longer mix?",
    question="Without decay the norm only grows and nothing mixes. Where does that regime begin?",
    why="It asks for a number where the paper has two words.",
    experiment=(
        "A grid of weight decays at a fixed number of steps: rotation spent, cosine to the initial weights, "
        "and where the distance of functions no longer closes. Without decay: growth of γ."
    ),
    claims=("wd-threshold", "rotation-budget", "no-decay-growth", "monotone-norm", "no-parameter-mixing"),
    equation="Q_T = λₑT + ¼·ln(γ_T/γ₀) = ¼·ln[1 + (γ*/γ₀)(e^(4λₑT) − 1)]; no mixing where Q_T < 1",
    answer=(
        "Mixing needs a total rotation of about 1. Started at equilibrium, the threshold is λₑ = 1/T: the "
        "decay times the LR has to reach one over the number of steps. Far from equilibrium the logarithm "
        "corrects it; with λₑ → 0 it becomes ¼·ln(1 + 2 Tr Σ·T/γ₀), which grows too slowly to help."
    ),
    theory=("sgd.rotation_budget", "relaxation.equilibrium_gamma"),
    open=(
        "Rotation spent is necessary, not sufficient: a basin can hold the direction however long training "
        "goes on (R2.8). And 1 is a convention, the scale at which a free direction has forgotten its "
        "start."
    ),
)
