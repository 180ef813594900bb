"""Measures the table of optimizer symmetries on the installed version of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

DEFECT = 100.0
"""A wrong power counts as detected from this deviation on, in units of roundoff. It is the same bound that
rivals of exact claims must exceed."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer in one implementation. A deviation is the largest difference of unit weight vectors in a
    run."""

    optimizer: str
    implementation: str
    arguments: dict[str, int | tuple[int, ...]]
    first_phase: dict[str, int | tuple[int, ...]]
    state: dict[str, int]
    exception: str
    deviation_at_2: float
    deviation_at_1_7: float
    """The deviation of whole runs. Training amplifies rounding, so ``share_of_bound`` judges single steps."""
    share_of_bound: float | None
    """The largest difference of a step at a = 1.7, divided by its rounding bound. ``None`` if there is no
    bound."""
    wrong_power: float
    """The deviation at a = 2 if the power of weight decay is off by one (of lr, if there is no decay)."""
    holds: bool


def measure(names: Sequence[str] = (), device: str = "cpu") -> tuple[Row, ...]:
    """Train a small BatchNorm net with optimizers of the table, in every implementation, at scales 1, 2 and
    1.7.

    ``names`` are keys of ``ilr_check.optim.symmetry.CONFIGURATIONS``. Without names, all optimizers are
    measured. Raises ``ValueError`` for an unknown name.
    """
    from ilr_check.optim.specs import implementations
    from ilr_check.optim.symmetry import CONFIGURATIONS

    for name in names:
        if name not in CONFIGURATIONS:
            raise ValueError(
                f"optimizer {name!r} is not in the table; the known ones are {', '.join(CONFIGURATIONS)}"
            )
    return tuple(
        _row(name, way, device)
        for name in names or CONFIGURATIONS
        for way in implementations(CONFIGURATIONS[name].optimizer.name, device)
    )


def _row(name: str, implementation: Any, device: str) -> Row:
    from ilr_check.claims.exact.checks.scaling import shift
    from ilr_check.claims.exact.checks.stepwise import steps_agree
    from ilr_check.claims.exact.optimizer_symmetry import off_by_one, small_setting
    from ilr_check.claims.exact_law import Worst
    from ilr_check.optim.symmetry import CONFIGURATIONS
    from ilr_check.theory.rounding import UNIT_ROUNDOFF

    row, setting = CONFIGURATIONS[name], small_setting(steps=60, device=device)
    symmetry = row.symmetry
    optimizer = msgspec.structs.replace(row.optimizer, implementation=implementation)
    u = UNIT_ROUNDOFF[setting.dtype]

    def deviation(powers: Any, a: float) -> float:
        return shift(setting, optimizer, powers, a, steps=setting.hyper.steps) * u

    share = None
    if not symmetry.exception and not row.matrices_only:
        worst = Worst()
        steps = steps_agree(setting, optimizer, symmetry, 1.7, worst)
        share = worst.outcome(steps=steps).ratio
    decayed = optimizer.takes("weight_decay")
    wrong = deviation(off_by_one(symmetry, "weight_decay" if decayed else "lr"), 2.0)
    exact = deviation(symmetry, 2.0)
    obeys = exact == 0.0 and (share is None or share <= 1.0)
    return Row(
        optimizer=name,
        implementation=implementation,
        arguments=symmetry.arguments,
        first_phase=symmetry.first_phase,
        state=symmetry.state,
        exception=symmetry.exception,
        deviation_at_2=exact,
        deviation_at_1_7=deviation(symmetry, 1.7),
        share_of_bound=share,
        wrong_power=wrong,
        holds=(exact >= DEFECT * u if symmetry.exception else obeys) and wrong >= DEFECT * u,
    )


def to_json(rows: tuple[Row, ...]) -> str:
    """Return the version of torch and the rows as JSON."""
    import torch

    made_by = {"made_by": "ilr-check symmetry"}
    table = {**made_by, "torch": str(torch.__version__), "rows": msgspec.to_builtins(rows)}
    return msgspec.json.format(msgspec.json.encode(table), indent=2).decode()


def as_lines(rows: tuple[Row, ...]) -> list[str]:
    """Return the lines of the table in Markdown, which is readable in a terminal as well."""
    lines = [
        "| optimizer | implementation | powers of a | dev at 2 | dev at 1.7 | step / bound | wrong power | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        powers = ", ".join(f"{key} {_signed(power)}" for key, power in row.arguments.items()) or "none"
        if row.first_phase:
            powers += "; at first " + ", ".join(f"{k} {_signed(p)}" for k, p in row.first_phase.items())
        share = "" if row.share_of_bound is None else f"{row.share_of_bound:.2g}"
        verdict = ("no symmetry" if row.exception else "holds") if row.holds else "VIOLATED"
        lines.append(
            f"| {row.optimizer} | {row.implementation} | {powers} | {row.deviation_at_2:.1g} | "
            f"{row.deviation_at_1_7:.1g} | {share} | {row.wrong_power:.2g} | {verdict} |"
        )
    return lines


def _signed(power: int | tuple[int, ...]) -> str:
    return ", ".join(f"{p:+d}" if p else "0" for p in (power if isinstance(power, tuple) else (power,)))
