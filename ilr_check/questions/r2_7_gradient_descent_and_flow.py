from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.7",
    title=(
        "“Gradient descent is not gradient flow”: does this say more than that finite steps may be chaotic?"
    ),
    question=(
        "It is well known that a finite step differs from gradient flow. What is special about weight decay "
        "here?"
    ),
    why="The question asks for the theorem behind an anecdote.",
    experiment=(
        "Full-batch gradient descent is run at several learning rates, with and without weight decay. The "
        "claims measure the time average of −ln cos θ over −ln(1 − λₑ), where θ is the rotation of a step, "
        "and the step at which descent leaves the flow. With Φ = η/(a·r²), the learning rate of the "
        "direction, and λ_max, the largest curvature on the unit sphere, they also measure what happens "
        "afterwards: the growth of Φ between loss spikes, the time from one loss spike to the next for "
        "several λₑ and under noise, and the level of Φ·λ_max. They do so for a net that can fit its labels "
        "and for one that cannot."
    ),
    claims=("gd-is-not-gradient-flow", "periodic-behaviour", "rotation-budget"),
    equation=(
        "Σ −ln cos θ_t = −T·ln(1 − λₑ) + ln(r_T/r₀);  K* = ln(2r₀²/(η·λ_max))/(2λₑ);  "
        "gap = (fall of ln Φ in a loss spike)/(2λₑ)"
    ),
    answer=(
        "With weight decay, descent cannot converge at any learning rate, however small. The total rotation "
        "is T·λₑ plus a boundary term, so a direction that converged would need a norm that falls to 0. "
        "Without weight decay the same descent converges. Along the flow the norm shrinks until Φ·λ_max = 2 "
        "after K* steps; in the time of the flow, K* grows only like a logarithm as η → 0. What follows "
        "depends on the minimum. Between exponential tails, as where the logits can fit every label, no "
        "small oscillation is stable: a loss spike throws the run out and Φ falls. The next loss spike comes "
        "when weight decay alone has raised Φ again. This takes a time proportional to 1/λₑ, and most of it "
        "is spent below Φ·λ_max = 2. Each loss spike begins above 2, because weight decay raises Φ while the "
        "unstable mode grows. This excess vanishes with λₑ. Noise changes it by a logarithm, until noise "
        "alone stops the shrinking of the norm, when its size at unit norm reaches √(2λₑ)·λ_max/2. Where the "
        "net cannot fit its labels, steps that undo each other balance weight decay. The run then stays at "
        "the edge of stability, and Φ·λ_max at the place of the run lies above 2 by O(√λₑ). With several "
        "invariant groups λ_max belongs to the Hessian at the weights themselves, which weighs each group by "
        "its own Φ."
    ),
    theory=(
        "sgd.rotation_budget",
        "sgd.direction_speed",
        "descent.first_crossing",
        "descent.free_growth",
        "descent.edge_at_spike",
        "descent.edge_is_soft",
        "descent.noise_that_holds_below_the_edge",
    ),
    open=(
        "Which nets have loss spikes and which stay at the edge of stability. The picture of one mode gives "
        "the direction of the effect and not the border, and a net between the two does some of both. How "
        "far Φ falls in a loss spike is not derived, so the constant in the period is not derived either. "
        "Nobody has shown here how often large nets do this."
    ),
)
