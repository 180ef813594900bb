"""With fp32 masters or a Kahan sum, steps far below the spacing of narrow weights add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ilr_check.gate.law import Circumstances, GateLaw, LeftOpen, Reading, law_text, ratio_reading
from ilr_check.gate.subject import Subject

ORDER = 30
NARROW, WIDE = "bfloat16", "float32"
SPACING = 2.0**-7
"""The distance of two bfloat16 weights between 1 and 2, where all weights of this law stay."""
STEPS, SHAPE = 128, (4, 8)
WAY = 8.0
"""The steps move a weight this many spacings, a sixteenth of one at a time; rounding alone keeps it still."""
ROOM = 1.0 + WAY / 8.0
"""One spacing for the rounding of the weights, and an eighth of the way where moments are narrow too: each of
128 steps rounds the second moment by 2^-9 of itself, and half of that sum reaches the step."""
LR = 2.0**-4


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the tag is missing, or the weights cannot be narrow."""
    if subject.tags.rounding not in ("master", "kahan"):
        return "it declares neither of the tags rounding=master and rounding=kahan"
    missing = [name for name in (NARROW, WIDE) if name not in subject.dtypes]
    if missing:
        return LeftOpen(f"--dtype leaves out {' and '.join(missing)}")
    return "" if subject.can_vary("lr") else LeftOpen("lr cannot be set, so its steps cannot be made small")


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge small steps under constant gradients, and weight decay alone."""
    rng = circumstances.generator()
    start = rng.uniform(1.25, 1.75, size=SHAPE)
    gradient = rng.choice((-1.0, 1.0), size=SHAPE) * rng.uniform(0.5, 2.0, size=SHAPE)
    decays = subject.can_vary("weight_decay")
    still = {"weight_decay": 0.0} if decays else {}
    yield _case(subject, "steps", start, gradient, "lr", {"lr": SPACING / 16.0, **still})
    if decays:
        rates = {"lr": LR, "weight_decay": SPACING / 16.0 / LR / float(start.mean())}
        yield _case(subject, "weight decay", start, np.zeros(SHAPE), "weight_decay", rates)


def _case(
    subject: Subject, group: str, start: Any, gradient: Any, scaled: str, hyper: Mapping[str, float]
) -> Reading:
    """Compare narrow weights with wide ones, at a rate that moves the wide ones by ``WAY`` spacings."""
    begin, end = _moved(subject, start, gradient, hyper, WIDE)
    way = float(np.mean(np.abs(end - begin))) / SPACING
    if way > 0.0 and np.isfinite(way):
        hyper = {**hyper, scaled: hyper[scaled] * WAY / way}
        begin, end = _moved(subject, start, gradient, hyper, WIDE)
        way = float(np.mean(np.abs(end - begin))) / SPACING
    if not WAY / 2.0 <= way <= WAY * 2.0:
        told = f"in float32 weights {STEPS} steps move {way:.3g} spacings, and {scaled} cannot make that 8"
        return Reading(group=group, verdict="skipped", message=told)
    _, narrow = _moved(subject, start, gradient, hyper, NARROW)
    off = float(np.max(np.abs(narrow - end))) / SPACING
    went = float(np.mean(np.abs(narrow - begin))) / SPACING
    words = "stand still" if went < 0.5 else f"move by {went:.3g}"
    return ratio_reading(
        off / ROOM if np.isfinite(off) else float("inf"),
        group=group,
        quantity=f"difference from float32 weights / {ROOM:g} spacings",
        n_steps=STEPS,
        dtype=NARROW,
        message=f"{STEPS} small steps move float32 weights by {way:.3g} spacings and bfloat16 weights by "
        f"{went:.3g}; they end at most {off:.3g} apart",
        diagnosis=f"{STEPS} small steps ({group}) move float32 weights by {way:.3g} spacings of bfloat16, "
        f"and bfloat16 weights {words}: what rounding takes away is lost, "
        + (
            "so the masters do not carry it"
            if subject.tags.rounding == "master"
            else "so the compensation is not added"
        )
        if off > ROOM or not np.isfinite(off)
        else "",
    )


def _moved(subject: Subject, start: Any, gradient: Any, hyper: Mapping[str, float], dtype: str) -> Any:
    """Return the weights before and after all steps."""

    def tensor(values: Any) -> torch.Tensor:
        return torch.tensor(values, device=subject.device).to(torch.bfloat16).to(getattr(torch, dtype))

    trial = subject.start([tensor(start)], **hyper)
    before = trial.values()[0].double().cpu().numpy()
    handed = tensor(gradient)
    for _ in range(STEPS):
        trial.step([handed])
    return before, trial.values()[0].double().cpu().numpy()


LAW = GateLaw(
    text=law_text(
        "small-steps",
        "Small steps add up in narrow weights",
        "With fp32 masters or Kahan summation, bfloat16 weights follow float32 weights through steps, and "
        "through weight decay, of a sixteenth of their spacing.",
        equation="Σ round(u_t) with compensation = Σ u_t, within one spacing",
        source="Kahan 1965; Micikevicius et al. 2018, section 3.1: fp32 master copy of weights",
        meaning="The compensation is dropped, or the masters are narrow: late in training nothing moves.",
        rivals=("rounding to nearest", "a compensation that is never added"),
    ),
    tier="exact",
    blind_to="whatever it does wrong in float32 weights as well",
    check=check,
    applies=applies,
)
