from ilr_check.questions.question import Question

QUESTION = Question(
    id="R4.3",
    title="Below which weight decay do the parameters no longer mix?",
    question=(
        "Without weight decay the norm only grows and nothing mixes. At which weight decay does that regime "
        "begin?"
    ),
    why="The question asks for a number where the paper has two words.",
    experiment=(
        "A grid of weight decays, including zero, is examined after several numbers of steps. The total "
        "rotation is compared with the prediction from the noise of other runs. With label noise 1 (all "
        "labels drawn anew at every step), the cosine to the initial weights is compared with e^(−Q), where "
        "Q is the total rotation. The claim also measures how much of the difference between the predictions "
        "of runs comes from the initialisation. Without weight decay the growth of γ is judged."
    ),
    claims=("wd-threshold", "rotation-budget", "no-decay-growth", "monotone-norm", "no-parameter-mixing"),
    equation="Q_T = λₑT + ¼·ln(γ_T/γ₀) = ¼·ln[1 + (γ*/γ₀)(e^(4λₑT) − 1)]; no mixing where Q_T < 1",
    answer=(
        "Mixing needs a total rotation of about 1. For a run of T steps that starts at equilibrium, the "
        "threshold is λₑ = 1/T: the product of learning rate and weight decay has to reach one over the "
        "number of steps. Far from equilibrium the logarithm in the equation corrects this. For λₑ → 0 it "
        "becomes ¼·ln(1 + 2 Tr Σ·T/γ₀), which grows too slowly to help. The same weight decay is below the "
        "threshold in a short run and above it in a long run. Predictions need less rotation. Two runs that "
        "each keep e^(−Q) of the same initial direction share at most e^(−2Q) of it, and the measured "
        "predictions have forgotten most of the initialisation while the weights have hardly rotated."
    ),
    theory=(
        "mixing.rotation_of_a_run",
        "mixing.threshold_of_mixing",
        "sgd.rotation_budget",
        "relaxation.equilibrium_gamma",
    ),
    open=(
        "For the weights, the total rotation is a necessary condition and not a sufficient one: a basin can "
        "hold the direction however long training continues (R2.8). The value 1 is a convention; it is the "
        "scale at which a free direction has forgotten its start. How little rotation the predictions need "
        "is measured and not derived. The threshold at constant noise is rough, because the noise falls as "
        "the norm settles."
    ),
)
