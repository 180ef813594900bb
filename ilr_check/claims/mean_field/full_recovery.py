"""After lr -> lr/10 with wd -> 10 wd the effective LR falls to 1/10 at once and recovers completely."""

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
    title="A drop of the LR at fixed lambda_e is forgotten",
    statement=(
        "Dividing the LR by 10 and multiplying weight decay by 10 drops the effective LR by 10 at once; as "
        "lambda_e is what it was, the effective LR comes back to its old value."
    ),
    equation="effLR(t)/effLR(0) = [1 + (k² − 1) e^(−4λₑt)]^(−1/2)",
    source="Li, Lyu, Arora 2020, section 5: the LR alone enters through the start only",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("1/k: it never recovers", "k^(-1/2)", "k^(-1/3)"),
    meaning=(
        "Equilibrium depends on the LR beside lr * weight_decay: weight decay is not multiplied by lr, or is "
        "multiplied by it more than once."
    ),
    blind="what the change does to loss and accuracy, which are not read.",
)


def drops(profile: Profile, seed: int) -> list[Drop]:
    """The reference net on digits with label noise 0.5; others too beyond ``quick``."""
    changed = partial(Drop, factor=10.0, decay_factor=0.1, after=900)
    beside = ("residual CNN", "BatchNorm, batch 128")
    return [changed(**s._asdict()) for s in subjects(TEXT.id, profile, seed, beside=beside)]


LAW = Recovery(
    text=TEXT,
    drops=drops,
    ends=lambda drop: (1.0 / drop.factor, drop.factor**-0.5, drop.factor ** (-1.0 / 3.0)),
    jumps=lambda drop: {"sqrt(k) at once": math.sqrt(drop.factor), "no drop": 1.0},
    caption=(
        "The LR falls by 10 at step 0 and weight decay rises by 10. The effective LR falls with the LR at "
        "once and comes back completely, since their product has not changed."
    ),
).law()
CLAIM = LAW.claim()
