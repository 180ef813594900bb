"""Is there more in it than that finite steps are not a flow?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R2.7",
    title="“Gradient descent is not gradient flow”: more than that finite steps may be chaotic?",
    question=(
        "That a finite step differs from the flow is no news. What is special about weight decay here?"
    ),
    why="It asks for the theorem behind an anecdote.",
    experiment=(
        "Full-batch gradient descent over several LRs, with weight decay and with it turned off: the time "
        "average of −ln cos θ over −ln(1 − λₑ), the step at which descent leaves the flow, and what comes "
        "after: the growth of Φ between bursts, the time from one burst to the next over λₑ and under noise, "
        "and where Φ·λ_max stands, for a net that can fit its labels and for one that can not."
    ),
    claims=("gd-is-not-gradient-flow", "periodic-behaviour", "rotation-budget"),
    equation=(
        "Σ −ln cos θ_t = −T·ln(1 − λₑ) + ln(r_T/r₀);  K* = ln(2r₀²/(η·λ_max))/(2λₑ);  "
        "gap = (fall of ln Φ in a burst)/(2λₑ)"
    ),
    answer=(
        "With decay, descent cannot converge at any LR, however small: total rotation is T·λₑ plus a "
        "boundary term, so a direction that converged would need a norm that falls to 0. Without decay the "
        "same descent converges. Along the flow the norm shrinks until Φ·λ_max = 2 after K* steps, Φ = "
        "η/(a·r²), which grows like a logarithm only as η → 0. What comes then depends on the minimum. "
        "Between exponential tails, as where the logits can fit every label, no small oscillation is stable: "
        "the run is thrown out, Φ falls, and the next burst comes when decay alone has brought Φ back, after "
        "a time proportional to 1/λₑ, most of it below Φ·λ_max = 2. Each burst begins above by what decay "
        "adds while the unstable mode grows; this vanishes with λₑ, and noise changes it by a logarithm, "
        "until noise alone holds the norm, at √(2λₑ)·λ_max/2. Where nothing fits, steps that undo each "
        "other balance decay: the run sits at the edge, and Φ·λ_max, taken where it is, lies above 2 by "
        "O(√λₑ). With several invariant groups λ_max is that of the Hessian at the weights themselves, which "
        "weighs each group by its own Φ."
    ),
    theory=(
        "sgd.rotation_budget",
        "sgd.direction_speed",
        "descent.first_crossing",
        "descent.free_growth",
        "descent.edge_at_burst",
        "descent.edge_is_soft",
        "descent.noise_that_holds_below_the_edge",
    ),
    open=(
        "Which nets burst and which sit on the edge: one mode's picture gives the sense, not the border; "
        "a net between the two does some of both. How far Φ falls in a burst is not derived, so neither "
        "is the constant in the period; and nobody has shown here how often large nets do this."
    ),
)
