"""The constructor and ``step`` change parameters and their own state, and nothing else of the process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable

from ilr_check.evidence import Margin, Measured
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text
from ilr_check.gate.process.surroundings import Change, Watch
from ilr_check.gate.subject import Subject

ORDER = 1
STEPS = 3


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge a few steps of two tensors: one reading for settings and threads, one for printed text."""
    rng = circumstances.generator()
    starts = [subject.tensor(rng.normal(size=shape)) for shape in ((3, 4), (5, 2))]
    gradients = [[subject.tensor(rng.normal(size=s.shape)) for s in starts] for _ in range(STEPS)]
    watch, said = Watch(), io.StringIO()
    with watch.during("steps"):
        trial = subject.start(starts)
        with contextlib.redirect_stdout(said):
            for given in gradients:
                trial.step(given)
    return [_settings(watch.changes["steps"]), _printed(said.getvalue())]


def _settings(changes: list[Change]) -> Reading:
    return Reading(
        group="global settings and threads",
        verdict="violated" if changes else "holds",
        quantity="settings changed",
        measured=Measured(value=float(len(changes))),
        expected=0.0,
        margin=Margin(low=0.0, high=0.0),
        message="; ".join(map(str, changes)) or f"{STEPS} steps left every setting as it was",
        diagnosis="; ".join(map(str, changes)),
        n_steps=STEPS,
    )


def _printed(text: str) -> Reading:
    lines = text.splitlines()
    told = f"step() prints to standard output, such as {lines[0][:80]!r}" if lines else ""
    return Reading(
        group="standard output",
        verdict="violated" if lines else "holds",
        quantity="lines printed",
        measured=Measured(value=float(len(lines))),
        expected=0.0,
        margin=Margin(low=0.0, high=0.0),
        message=told or f"{STEPS} steps printed nothing",
        diagnosis=told,
        n_steps=STEPS,
    )


LAW = GateLaw(
    text=law_text(
        "leaves-the-world-alone",
        "Stepping changes nothing but the parameters and the optimizer's state",
        "Default dtype, seed, grad mode, thread count, deterministic flag, matmul precision and anomaly mode "
        "are after a step what they were before; no thread stays behind, and nothing is printed.",
        equation="settings after = settings before",
        source="torch.optim: an optimizer updates the parameters it is given",
        meaning="Whoever uses the optimizer gets other random numbers, another precision, another speed or "
        "unwanted output in the rest of the program.",
    ),
    tier="exact",
    blind_to="changes that come after more than a few steps; those are noted beside the other laws",
    check=check,
    counts_draws=True,
    milder={"standard output": ("fragility", "printing changes no number")},
)
