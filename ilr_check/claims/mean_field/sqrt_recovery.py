"""After the LR is divided by 10, the effective LR falls by 10 at once and recovers as the norm follows."""

from __future__ import annotations

import math

import msgspec

from ilr_check.claims.claim import Profile
from ilr_check.claims.mean_field.trainings.lr_drop import Drop
from ilr_check.claims.mean_field.trainings.recovery import Recovery
from ilr_check.claims.settings.nets import NARROW
from ilr_check.claims.settings.subjects import BESIDE, CLEAN, DIGITS, generated
from ilr_check.data import DigitsSpec, TangentNoise
from ilr_check.evidence import ClaimText

TEXT = ClaimText(
    id="sqrt-recovery",
    title="After an LR drop the norm follows its recursion",
    statement=(
        "Dividing the LR by 10 divides the effective LR, lr / ||w||^2, by 10 at once. The norm then follows "
        "its recursion, given the gradient noise of other runs. In the control, whose noise is constant, the "
        "effective LR ends at 1/sqrt(10) of its old value. The paper states this end for real nets too; a "
        "row of its own says whether it is found there."
    ),
    equation="effLR(t)/effLR(0) = [k + (k² − k) e^(−4λₑ′t)]^(−1/2)",
    source="Li, Lyu, Arora 2020, section 5 and Theorem 5.1; asked for by the paper's first reviewer",
    kind="statistical",
    chapter="mean-field",
    groups=("core", "mean-field"),
    rivals=("1/k: it never recovers", "1: it recovers completely", "k^(-1/3)"),
    meaning=(
        "The norm does not forget at the rate that lr * weight_decay sets. Weight decay is not proportional "
        "to lr, a scheduler does not reach the optimizer, or the optimizer does not step as SGD does."
    ),
    blind="how the drop changes loss and accuracy, which are not read.",
)


CONTROL = Drop(
    title="control: digits, noise of constant trace",
    net=NARROW,
    data=DigitsSpec(),
    noise=TangentNoise(size=10.0),
    initial_norm=7.0,
    planned_sd=0.02,
    looks=(32, 64),
)
OTHER_FACTORS = (2.0, 4.0, 100.0)
"""Factors besides 10; ``quick`` judges 10 alone."""


def drops(profile: Profile, seed: int) -> list[Drop]:
    """Return the reference net, the control and generated nets; beyond ``quick`` more nets and factors."""
    found, shorter = [Drop(**DIGITS._asdict()), CONTROL], generated(TEXT.id, profile, seed)
    if profile != "quick":
        found += [Drop(**CLEAN._asdict()), *(control_by(factor) for factor in OTHER_FACTORS)]
        shorter = (BESIDE["BatchNorm CNN"], BESIDE["LayerNorm"], *shorter)
    return found + [Drop(weight_decay=0.016, before=500, after=2200, **s._asdict()) for s in shorter]


def control_by(factor: float) -> Drop:
    """Return the control with another factor k, and with more than ln k time constants after the drop.

    The transient in gamma is k^2 - k times e^(-4 lambda_e' t), lambda_e' = lambda_e / k, beside k in the end:
    with 4 lambda_e' t = ln k + 3 it is below 5 % of it, and by then every rival has left the margin.
    """
    shorter = msgspec.structs.replace(CONTROL, weight_decay=0.032, before=250)
    after = math.ceil((math.log(factor) + 3.0) * factor / (4.0 * shorter.intrinsic_lr))
    title = f"control: digits, noise of constant trace, k = {factor:g}"
    return msgspec.structs.replace(shorter, title=title, factor=factor, after=after)


LAW = Recovery(
    text=TEXT,
    drops=drops,
    ends=lambda drop: (1.0 / drop.factor, 1.0, drop.factor ** (-1.0 / 3.0)),
    jumps=lambda drop: {"sqrt(k) at once": math.sqrt(drop.factor), "no drop": 1.0},
    caption=(
        "The LR is divided by k at step 0; k is 10 unless the title says otherwise. The effective LR falls "
        "with it at once. It then recovers, because the weights shrink until gradient noise and weight decay "
        "balance again. The dotted line is the end for noise of unchanged size."
    ),
).law()
CLAIM = LAW.claim()
