"""If the LR is divided by 10 and weight decay multiplied by 10, the effective LR falls and comes back."""

from __future__ import annotations

import math
from functools import partial

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.lr_drop import Drop
from ilr_check.claims.mean_field.trainings.recovery import Recovery
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="full-recovery",
    title="An LR drop at fixed lr * weight_decay is forgotten",
    statement=(
        "Dividing the LR by 10 and multiplying weight decay by 10 divides the effective LR, lr / ||w||^2, by "
        "10 at once. Their product lambda_e does not change. Given the gradient noise of other runs, the "
        "norm follows its recursion. This brings the effective LR back to its old value if the noise does "
        "not change."
    ),
    equation="effLR(t)/effLR(0) = [1 + (k² − 1) e^(−4λₑt)]^(−1/2)",
    source="Li, Lyu, Arora 2020, section 5: the LR alone enters through the start only",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("1/k: it never recovers", "k^(-1/2)", "k^(-1/3)"),
    meaning=(
        "The equilibrium depends on the LR itself and not only on lr * weight_decay. Weight decay is not "
        "multiplied by lr, or it is multiplied by it more than once."
    ),
    blind="how this changes loss and accuracy, which are not read.",
)


def drops(profile: Profile, seed: int) -> list[Drop]:
    """Return the reference net on digits with label noise 0.5; beyond ``quick`` also other nets."""
    changed = partial(Drop, factor=10.0, decay_factor=0.1, after=900)
    beside = ("residual CNN", "BatchNorm, batch 128")
    return [changed(**s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)]


LAW = Recovery(
    text=TEXT,
    drops=drops,
    ends=lambda drop: (1.0 / drop.factor, drop.factor**-0.5, drop.factor ** (-1.0 / 3.0)),
    jumps=lambda drop: {"sqrt(k) at once": math.sqrt(drop.factor), "no drop": 1.0},
    caption=(
        "At step 0 the LR is divided by 10 and weight decay multiplied by 10. The effective LR falls with "
        "the LR at once. It comes back, because the product of the two has not changed."
    ),
).law()
CLAIM = LAW.claim()
