"""grad L(cw) = grad L(w) / c: the gradient of a scale-invariant group is homogeneous of degree -1.

Only powers of two are compared. Any other c makes each product round differently, and the two gradients
then differ by all of these roundings carried through the whole net and back: the condition number is a
product over the layers, not the local one of gradient orthogonality and of <w, H v> = -<v, g>, identities
that hold at each norm whatever reaches it. Measured at c = 1.7 in float64, the worst relative difference
of a tensor's gradient in units of u, as median and maximum over 20 tanh nets of width 8 with batch norm:
4.8 and 6.8 with 2 layers, 45 and 240 with 10, 820 and 3100 with 30, 4.5e4 and 7.7e5 with 60; with ReLU
1.2e7 and 2.8e8 with 60. No bound is derived for these: it would have to hold for the product over all
layers, and tell nothing about deep nets.
"""

from __future__ import annotations

from ilr_check.claims.exact.checks.derivatives import (
    Scaling,
    Tensors,
    gap,
    gradients,
    is_finite,
    out_of_range,
    scaled,
    scalings,
)
from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.claims.settings.generated import events_of
from ilr_check.evidence import ClaimText
from ilr_check.nets import build
from ilr_check.theory.invariance import GRADIENT_DEGREE
from ilr_check.train.loop import DTYPES, steps_of

TEXT = ClaimText(
    id="gradient-homogeneity",
    title="Gradients shrink as the weights grow",
    statement=(
        "Multiplying a scale-invariant group by c divides its gradient by c and leaves every other "
        "gradient as it is. This holds bit for bit where each group has a power of two of its own."
    ),
    equation="∇L(c·w) = c⁻¹ ∇L(w)",
    source="Li, Lyu, Arora 2020, section 2; derivative of L(cw) = L(w)",
    kind="exact",
    chapter="exact",
    groups=("exact",),
    rivals=("exponent -2", "exponent 0"),
    meaning=(
        "The trained function has a scale of its own: an eps in a norm layer, a bias or a gain that is not "
        "scaled too, a penalty on the weights, or a gradient that is clipped inside the net."
    ),
    blind=(
        "factors that are no powers of two, because others are not tried. hessian-euler checks the "
        "derivative of the law, for all factors near 1."
    ),
)


def check(example: Scaling) -> Outcome:
    """Compare every gradient at every state of a training, at both scales; they must agree to the last
    bit."""
    setting, factors = example.setting, example.factors()
    module = build(setting.net, dtype=DTYPES[setting.dtype], device=setting.device)
    worst, steps, skipped = Worst(), 0, ""
    for step in steps_of(setting):
        weights = scaled(step.before, factors)
        plain = gradients(module, step.before, step.x, step.y)
        found = gradients(module, weights, step.x, step.y)
        if not is_finite(step.before, weights, plain, found):
            break
        expected = scaled(plain, factors, GRADIENT_DEGREE)
        deviations = {name: gap(expected[name], found[name], setting.dtype) for name in found}
        if max(deviations.values()) > 0 and any(
            out_of_range(module, w, step.x, step.y, expected, found) for w in (step.before, weights)
        ):
            skipped = UNDERFLOW
            break
        for name, deviation in deviations.items():
            worst.add(deviation, 1.0, group=name, step=step.t)
        _rivals(plain, found, factors, setting.dtype, worst)
        steps += 1
    return worst.outcome(steps=steps, events=events_of(setting), skipped=skipped)


def _rivals(plain: Tensors, found: Tensors, factors: dict[str, float], dtype: str, worst: Worst) -> None:
    for name, degree in (("exponent -2", -2), ("exponent 0", 0)):
        wrong = scaled(plain, factors, degree)
        worst.add_rival(name, max(gap(wrong[n], found[n], dtype) for n in found), 1.0)


LAW = ExactLaw(
    text=TEXT,
    example_type=Scaling,
    examples=lambda: scalings(max_steps=20),
    check=check,
    real=lambda profile: (),
    quantity="difference of the gradients / unit roundoff",
)
CLAIM = LAW.claim()
