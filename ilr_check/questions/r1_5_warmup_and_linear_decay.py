from ilr_check.questions.question import Question

QUESTION = Question(
    id="R1.5",
    title=(
        "What about warm-up with linear decay, where the learning rate matters far more than the weight "
        "decay?"
    ),
    question=(
        "Under this schedule the results depend strongly on the learning rate and weakly on the weight "
        "decay. How does that agree with a theory in which only their product counts?"
    ),
    why=(
        "Most large models are trained with this schedule, and a plain reading of the theory contradicts "
        "experience."
    ),
    experiment=(
        "η and λ are varied at equal λₑ from one initial norm, and the derivative of the effective learning "
        "rate is compared with the memory of the initial norm at eight times λₑT from 0.05 to 1.5. In the "
        "control, whose noise is constant, the memory has a closed form. On a real net the prediction uses "
        "noise that was measured on other runs at both learning rates, and a row of its own says whether the "
        "closed form is found there as it stands. The derivative of the training loss is reported. The "
        "effective learning rate is also predicted along warm-up with linear decay, cosine and step "
        "schedules from the noise of other runs. The rival theory is that the net is in equilibrium at every "
        "moment. The upper bound of the effective learning rate after one step is checked exactly."
    ),
    claims=("lr-against-decay", "schedule-law", "first-step-bound", "gamma-ode"),
    equation="∂ln effLR/∂ln η − ∂ln effLR/∂ln λ = (γ₀/γ_T)·e^(−4λₑT);  effLR after a step ≤ 1/(2|a|·G)",
    answer=(
        "“Only λₑ matters” is a statement about long runs at a constant learning rate. It fails by as much "
        "as the net remembers its initial norm: while 4λₑT is below about 1 after T steps, the learning rate "
        "counts fully and the weight decay hardly counts. In a linear decay the norm stops changing over the "
        "last fraction (2λₑT)^(−1/2) of training, and in a cosine over the last fraction (3/(π²λₑT))^(1/3). "
        "There the effective learning rate follows η and not √η. Warm-up avoids the opposite effect: a large "
        "first step inflates the norm, and then a larger learning rate gives a smaller effective learning "
        "rate."
    ),
    theory=("sgd.effective_lr_ceiling", "sgd.squared_norm_path", "relaxation.gamma"),
    open=(
        "The closed form of the derivative presupposes that the noise does not depend on η. That is not so "
        "while a net learns: a larger η learns faster, so the noise falls and η counts for more than the "
        "memory of the norm. The derivative is judged at a constant learning rate and not along warm-up. The "
        "theory does not predict the derivative of the loss, and it does not say why such schedules give "
        "better nets. It predicts the effective learning rate, and not which values of it are good."
    ),
)
