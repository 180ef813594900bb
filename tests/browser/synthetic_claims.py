"""The five claims of the group ``core``, as the texts of a made-up run."""

from __future__ import annotations

from typing import Any

from ilr_check.evidence import ClaimText


def claim_texts() -> tuple[ClaimText, ...]:
    """The five claims of the group ``core``."""

    def text(
        id: str, title: str, kind: str, chapter: str, source: str, equation: str, **rest: Any
    ) -> ClaimText:
        groups = ("core", chapter)
        return ClaimText(
            id=id,
            title=title,
            kind=kind,
            chapter=chapter,
            source=source,
            equation=equation,
            groups=groups,
            **rest,
        )

    return (
        text(
            "gradient-orthogonality",
            "The gradient is orthogonal to the weights",
            "exact",
            "exact",
            "Li, Lyu, Arora 2020, Lemma 2.1",
            "⟨∇L_B(w), w⟩ = 0",
            statement="For every scale-invariant group of weights and every minibatch, the gradient has no "
            "component along the weights.",
            rivals=("BatchNorm with eps 1e-3", "the head"),
            meaning="Some group that is treated as scale-invariant is not, so no other claim applies to it.",
        ),
        text(
            "norm-recursion",
            "The squared norm follows its recursion",
            "exact",
            "exact",
            "Li, Lyu, Arora 2020, eq. (8)",
            "‖w′‖² = (1 − ηλ)²‖w‖² + η²‖g‖²",
            statement="At every SGD step the squared norm shrinks by the square of the decay factor "
            "and grows by "
            "the squared update.",
            rivals=("a instead of a²", "decay after the step"),
            meaning="The optimizer does not apply weight decay the way SGD with L2 regularisation does.",
        ),
        text(
            "lr-wd-equivalence",
            "Learning rate, weight decay and scale are one family",
            "exact",
            "exact",
            "Li, Lyu, Arora 2020, Theorem 2.4",
            "(η, λ, w₀) ≙ (cη, λ/c, √c·w₀)",
            statement="Multiplying the learning rate by c, dividing the weight decay by c and scaling "
            "the initial "
            "weights by the square root of c leaves the path in function space unchanged.",
            rivals=("learning rate alone", "without √c"),
            meaning="The learning rate acts in some other way than through its product with the "
            "weight decay.",
        ),
        text(
            "sqrt-recovery",
            "After a 10x learning-rate drop the effective LR recovers to 1/√10",
            "statistical",
            "mean-field",
            "Li, Lyu, Arora 2020, Section 4.2, eq. (29)",
            "η_eff(t)/η_eff(0) = [k + (k² − k)·exp(−4λₑt)]^(−1/2)",
            statement="Dropping the learning rate by k lowers the effective learning rate by k at "
            "once; it then "
            "recovers, and ends only √k below where it was.",
            rivals=("1/k", "1", "k^(−1/3)"),
            meaning="The equilibrium norm does not scale as the fourth root of lr/wd: either "
            "training had not "
            "reached equilibrium before the drop, or the gradient noise depends on the learning rate.",
        ),
        text(
            "mixing-time",
            "The time to equilibrium is proportional to 1/(lr · wd)",
            "statistical",
            "mean-field",
            "Li, Lyu, Arora 2020, Section 4.1, eq. (28)",
            "log T = −log(ηλ) + const",
            statement="The norm relaxes to its equilibrium in a number of steps inversely proportional "
            "to the "
            "intrinsic learning rate.",
            rivals=("slope −1/2", "slope −2"),
            meaning="Some other time scale than the intrinsic learning rate governs the norm.",
        ),
    )
