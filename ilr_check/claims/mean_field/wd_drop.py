"""After weight decay is divided by 10 the effective LR does not jump; it falls as the norm grows."""

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
    title="After a weight decay drop the norm follows its recursion",
    statement=(
        "Dividing weight decay by 10 changes nothing at once. The norm then grows along its recursion, given "
        "the gradient noise of other runs, and the effective LR, lr / ||w||^2, falls. With constant noise it "
        "ends at 1/sqrt(10) of its old value, as after an LR drop by 10, which arrives there from below."
    ),
    equation="effLR(t)/effLR(0) = [k − (k − 1) e^(−4λₑ′t)]^(−1/2)",
    source="Li, Lyu, Arora 2020, section 5: only lambda_e decides the equilibrium",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=("1/k: it falls as far as weight decay does", "1: weight decay does not matter", "k^(-1/3)"),
    meaning=(
        "A change of weight decay does not reach the optimizer, or it enters with another power. Weight "
        "decay is cached at construction, replaced by lr alone, or scaled by something else."
    ),
    blind="how the drop changes loss and accuracy, which are not read.",
)


def drops(profile: Profile, seed: int) -> list[Drop]:
    """Return the reference net on digits with label noise 0.5; beyond ``quick`` also other nets."""
    changed = partial(Drop, factor=1.0, decay_factor=10.0)
    # Twice the lambda_e of the reference net, so that half the length is enough.
    shorter = partial(changed, weight_decay=0.016, before=500, after=2200)
    first, *others = subjects(TEXT.id, profile, seed, beside=("GroupNorm CNN", "LayerNorm"))
    return [changed(**first._asdict()), *(shorter(**s._asdict()) for s in others)]


LAW = Recovery(
    text=TEXT,
    drops=drops,
    ends=lambda drop: (1.0 / drop.decay_factor, 1.0, drop.decay_factor ** (-1.0 / 3.0)),
    jumps=lambda drop: {"falls at once": drop.decay_factor, "sqrt(k) at once": math.sqrt(drop.decay_factor)},
    caption=(
        "Weight decay is divided by 10 at step 0, and the LR stays. The effective LR does not jump, because "
        "the norm has not changed yet. It falls as the weights grow to their new equilibrium."
    ),
).law()
CLAIM = LAW.claim()
