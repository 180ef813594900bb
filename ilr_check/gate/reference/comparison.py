"""Compare a trajectory with its contract; the result is a reading with its diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ilr_check.gate.law import Reading, ratio_reading
from ilr_check.gate.reference.trajectory import Trajectory, deviation
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.explanation import declaration_of, explanation, is_convention, measured_fact
from ilr_check.gate.words.snippet import trajectory_snippet


def compared(
    subject: Subject, trajectory: Trajectory, hyper: Mapping[str, Any], *, group: str, prefix: str = ""
) -> Reading:
    """Judge a trajectory by the contract; the mutation that it follows explains a deviation.

    ``hyper`` built the optimizer of the trajectory; ``prefix`` begins the diagnosis with what was tried.
    """
    assert subject.contract is not None
    found = deviation(trajectory, subject.contract)
    facts = {
        "hyper": {k: v for k, v in trajectory.hyper.items() if isinstance(v, (int, float, str, bool))},
        "steps": len(trajectory.steps),
    }
    if found.ratio <= 1.0:
        return ratio_reading(
            found.ratio,
            group=group,
            n_steps=len(trajectory.steps),
            dtype=trajectory.dtype,
            subject=facts,
            message=f"{len(trajectory.steps)} steps stay within {found.ratio:.2g} of the rounding bound",
        )
    mutation, tried = explanation(trajectory, subject.contract, found)
    told = measured_fact(trajectory, found) if mutation is None else mutation.sentence
    narrow = False
    if mutation is None and trajectory.dtype == "float64":
        # A factor that is kept in float32 moves a step by its last digits, and no training notices.
        coarse = replace(trajectory, dtypes=["float32"] * len(trajectory.dtypes))
        off = deviation(coarse, subject.contract)
        narrow = off.ratio <= 1.0
        if not narrow:
            mutation, _ = explanation(coarse, subject.contract, off)
            mutation = mutation if mutation is not None and is_convention(mutation.hyper, subject) else None
    declared = {} if mutation is None else declaration_of(mutation, subject.contract)
    return ratio_reading(
        found.ratio,
        group=group,
        n_steps=len(trajectory.steps),
        dtype=trajectory.dtype,
        subject=facts,
        rivals=tried,
        diagnosis=prefix + told,
        remedy=" ".join(f"--declare {name}={value}" for name, value in declared.items()),
        declares=declared,
        severity="fragility" if narrow else None,
        message=(
            f"measured {found.measured!r}, expected {found.expected!r} ± {found.bound:.3g} "
            f"at step {found.step + 1}, tensor {found.tensor}, entry {found.entry}"
        ),
        snippet=trajectory_snippet(subject, trajectory, found, hyper),
    )
