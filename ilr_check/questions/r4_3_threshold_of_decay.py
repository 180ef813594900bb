"""Below which weight decay does nothing mix?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.3",
    title="Below which weight decay do the parameters no longer mix?",
    question="Without decay the norm only grows and nothing mixes. Where does that regime begin?",
    why="It asks for a number where the paper has two words.",
    experiment=(
        "A grid of weight decays, without one too, each seen after several numbers of steps: rotation "
        "spent against that predicted from the noise of other runs, cosine to the initial weights against "
        "e^(−Q) with label noise 1, and the share of two inits in what runs differ by in their "
        "predictions. Without decay: growth of γ."
    ),
    claims=("wd-threshold", "rotation-budget", "no-decay-growth", "monotone-norm", "no-parameter-mixing"),
    equation="Q_T = λₑT + ¼·ln(γ_T/γ₀) = ¼·ln[1 + (γ*/γ₀)(e^(4λₑT) − 1)]; no mixing where Q_T < 1",
    answer=(
        "Mixing needs a total rotation of about 1. Started at equilibrium, the threshold is λₑ = 1/T: the "
        "decay times the LR has to reach one over the number of steps. Far from equilibrium the logarithm "
        "corrects it; with λₑ → 0 it becomes ¼·ln(1 + 2 Tr Σ·T/γ₀), which grows too slowly to help. One "
        "and the same decay is below the threshold in a short run and above it in a long one. Predictions "
        "need less: runs that keep e^(−Q) of their init share at most e^(−2Q), and they are seen to have "
        "forgotten most of it while the weights have hardly turned."
    ),
    theory=(
        "mixing.rotation_of_a_run",
        "mixing.threshold_of_mixing",
        "sgd.rotation_budget",
        "relaxation.equilibrium_gamma",
    ),
    open=(
        "For the weights, rotation spent is necessary, not sufficient: a basin can hold the direction "
        "however long training goes on (R2.8). And 1 is a convention, the scale at which a free direction "
        "has forgotten its start. How little rotation the predictions need is measured and not derived; "
        "the threshold at constant noise is rough, since noise falls as the norm settles."
    ),
)
