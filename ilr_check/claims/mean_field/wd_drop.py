"""After wd -> wd/10 the effective LR does not jump, and falls to 1/sqrt(10)."""

from __future__ import annotations

import math
from functools import partial

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.lr_drop import Drop
from ilr_check.claims.mean_field.trainings.recovery import Recovery
from ilr_check.claims.settings.subjects import subjects
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="wd-drop",
    title="Dropping weight decay ends where dropping the LR ends",
    statement=(
        "Dividing weight decay by 10 moves nothing at once; the norm then grows, and the effective LR falls "
        "to 1/sqrt(10) of its old value, from above, where an LR drop by 10 arrives from below."
    ),
    equation="effLR(t)/effLR(0) = [k − (k − 1) e^(−4λₑ′t)]^(−1/2)",
    source="Li, Lyu, Arora 2020, section 5: only lambda_e decides the equilibrium",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("1/k: it falls as far as weight decay does", "1: weight decay does not matter", "k^(-1/3)"),
    meaning=(
        "A change of weight decay does not reach the optimizer, or reaches it with another power: decay is "
        "cached at construction, applied through lr alone, or scaled by something else."
    ),
    blind="what the drop does to loss and accuracy, which are not read.",
)


def drops(profile: Profile, seed: int) -> list[Drop]:
    """The reference net on digits with label noise 0.5; others too beyond ``quick``."""
    changed = partial(Drop, factor=1.0, decay_factor=10.0)
    # Half the length of the reference's at twice its lambda_e.
    shorter = partial(changed, weight_decay=0.016, before=500, after=2200)
    first, *others = subjects(TEXT.id, profile, seed, beside=("GroupNorm CNN", "LayerNorm"))
    return [changed(**first._asdict()), *(shorter(**s._asdict()) for s in others)]


LAW = Recovery(
    text=TEXT,
    drops=drops,
    ends=lambda drop: (1.0 / drop.decay_factor, 1.0, drop.decay_factor ** (-1.0 / 3.0)),
    jumps=lambda drop: {"falls at once": drop.decay_factor, "sqrt(k) at once": math.sqrt(drop.decay_factor)},
    caption=(
        "Weight decay falls by 10 at step 0 and the LR stays. The effective LR does not jump, because the "
        "norm has not moved yet; it falls as the weights grow to their new equilibrium."
    ),
).law()
CLAIM = LAW.claim()
