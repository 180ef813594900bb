"""The decay of one step depends on lr and wd by a power law; its powers and its size are judged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from ilr_check.evidence import Figure, Series
from ilr_check.gate.law import Circumstances, GateLaw, Reading, decay_of, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import Trajectory, deviation, record_trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.explanation import looks_like
from ilr_check.optim.contracts.contract import Contract

ORDER = 11
LRS = (0.05, 0.2, 0.8)
WEIGHT_DECAYS = (0.03, 0.12, 0.48)
BASE = (0.2, 0.12)


def applies(subject: Subject) -> str:
    """Return why the law is not judged: decay is no share of the weights, so it has no power law."""
    reason = needs("lr", "weight_decay")(subject)
    if reason or subject.contract is None:
        return reason
    where = decay_of(subject).where
    if where == "none":
        return "the family has no weight decay"
    if where == "own" or (where == "gradient" and subject.contract.degree != 1.0):
        return "decay goes through the normalised gradient, so that its size per step follows no power law"
    return ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the decay under zero gradients on a grid of lr and wd."""
    contract = subject.contract
    assert contract is not None
    start = circumstances.generator().uniform(0.5, 2.0, size=(2, 2))
    trajectories: dict[tuple[float, float], Trajectory] = {}
    for lr in LRS:
        for wd in WEIGHT_DECAYS:
            if BASE in ((lr, wd), (lr, BASE[1]), (BASE[0], wd)):
                trajectories[lr, wd] = record_trajectory(
                    subject, [start], [[np.zeros((2, 2))]], lr=lr, weight_decay=wd
                )
    at, worst = max(
        ((pair, deviation(trajectory, contract)) for pair, trajectory in trajectories.items()),
        key=lambda x: x[1].ratio,
    )
    shares = {pair: _share(trajectory) for pair, trajectory in trajectories.items()}
    reading = compared(subject, trajectories[at], {"lr": at[0], "weight_decay": at[1]}, group="zero gradient")
    if worst.ratio <= 1.0:
        return [reading]
    return [_with_powers(reading, shares, contract)]


def _with_powers(reading: Reading, shares: dict[tuple[float, float], float], contract: Contract) -> Reading:
    p = _slope([(lr, shares[lr, BASE[1]]) for lr in LRS])
    q = _slope([(wd, shares[BASE[0], wd]) for wd in WEIGHT_DECAYS])
    size = shares[BASE]
    expected = contract.decay_for({}).law if contract.decay.where != "gradient" else "lr*wd"
    if all(share == 0.0 for share in shares.values()):
        sentence = f"weight decay has no effect at zero gradient, expected {expected} per step"
    elif p is None or q is None:
        sentence = (
            f"at zero gradient, lr={BASE[0]} and wd={BASE[1]} a step takes {size:.6g} of the weights, "
            f"and no power law of lr and wd elsewhere; expected {expected}"
        )
    else:
        factor = size / (BASE[0] ** p * BASE[1] ** q)
        law = _law(factor, p, q)
        sentence = f"weight decay per step is {law}, expected {expected}"
        if law == expected:
            apart = abs(factor / contract.decay_for({}).factor - 1.0)
            sentence = (
                f"weight decay per step is {law} up to a relative difference of {apart:.2g}, "
                f"more than rounding allows{looks_like(apart)}"
            )
    figure = _figure(shares)
    return Reading(
        **{
            **{name: getattr(reading, name) for name in reading.__dataclass_fields__},
            "diagnosis": sentence,
            "figure": figure,
            "message": f"{reading.message}; share lost per step at lr={BASE[0]}, wd={BASE[1]}: {size:.6g}",
        }
    )


def _share(trajectory: Trajectory) -> float:
    step = trajectory.steps[0]
    return float(np.mean(1.0 - step.after[0] / step.before[0]))


def _slope(points: list[tuple[float, float]]) -> float | None:
    """Return the exponent of a power law, or ``None`` where there is none."""
    if any(y == 0.0 or not math.isfinite(y) for _, y in points):
        return None
    logs = [(math.log(x), math.log(abs(y))) for x, y in points]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(logs)]
    # A share of 0.003 has a relative error of 1e-13, and so have the slopes.
    return float(np.mean(slopes)) if max(slopes) - min(slopes) < 1e-9 else None


def _law(factor: float, p: float, q: float) -> str:
    def power(name: str, value: float) -> str:
        near = round(2 * value) / 2
        shown = near if abs(value - near) < 1e-3 else round(value, 3)
        return "" if shown == 0 else name if shown == 1 else f"{name}^{shown:g}"

    near = float(f"{factor:.4g}")
    words = [w for w in ("" if near == 1.0 else f"{near:g}", power("lr", p), power("wd", q)) if w]
    return "*".join(words) or "1"


def _figure(shares: dict[tuple[float, float], float]) -> Figure:
    lrs, wds = np.array(LRS), np.array(WEIGHT_DECAYS)
    along_lr = np.array([abs(shares[lr, BASE[1]]) for lr in LRS])
    along_wd = np.array([abs(shares[BASE[0], wd]) for wd in WEIGHT_DECAYS])
    return Figure(
        name="decay-coupling",
        title="Decay of one step",
        x_label="lr, or wd",
        y_label="share of the weights lost in one step",
        x_log=True,
        y_log=True,
        series=(
            Series(name=f"against lr, wd={BASE[1]}", kind="points", role="measured", x=lrs, y=along_lr),
            Series(name=f"against wd, lr={BASE[0]}", kind="points", role="measured", x=wds, y=along_wd),
            Series(name="lr*wd against lr", kind="line", role="predicted", x=lrs, y=lrs * BASE[1]),
            Series(name="lr*wd against wd", kind="line", role="predicted", x=wds, y=wds * BASE[0]),
        ),
        caption="Slope 1 in both is decay by lr*wd; slope 0 does not depend on it.",
    )


LAW = GateLaw(
    text=law_text(
        "decay-coupling",
        "Decay per step is lr*wd",
        "With a zero gradient one step takes the contract's share of the weights, at every lr and wd.",
        equation="w′ = (1 − lr·wd) w at g = 0",
        source="Loshchilov, Hutter 2019; torch's coupling of decay to lr",
        meaning="Decay is missing, goes with another power of lr or wd, has another factor, or another sign.",
        rivals=("wd", "lr^2*wd", "lr*wd^2"),
    ),
    tier="exact",
    blind_to="decay that appears only beside a gradient, at later steps or in other tensors",
    check=check,
    applies=applies,
)
