"""``step(closure)`` calls it once with gradients on, returns its loss, and takes the same step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.stimuli.paths import difference, paths
from ilr_check.gate.subject import Subject

ORDER = 7
STEPS = 3


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Compare a closure that sets gradients with gradients that were set before."""
    path = next(iter(paths(subject, circumstances, steps=STEPS).values()))
    plain = path.ends()
    trial = path.begin()
    calls, grad_mode, returned = [], [], []
    for t in range(STEPS):
        loss = torch.tensor(float(t) + 0.25)

        def closure(t: int = t, loss: Tensor = loss) -> Tensor:
            calls.append(t)
            grad_mode.append(torch.is_grad_enabled())
            trial.hand(path.gradients[t])
            return loss

        result = trial.optimizer.step(closure)
        returned.append(result is not None and float(result) == float(loss))
    once = calls == list(range(STEPS))
    if not subject.needs_closure:
        yield fact_reading(
            once,
            group="calls",
            message=f"{len(calls)} calls in {STEPS} steps",
            diagnosis=f"step calls its closure {len(calls) / STEPS:g} times a step, expected once",
        )
    yield fact_reading(
        all(grad_mode),
        group="gradients on",
        message="is_grad_enabled() inside of the closure",
        diagnosis="the closure runs with gradients off, so that its backward() fails",
    )
    yield fact_reading(
        all(returned),
        group="loss",
        message=f"{sum(returned)} of {STEPS} losses come back",
        diagnosis="step does not return the loss of its closure",
    )
    if once or subject.needs_closure:
        yield same_reading(
            difference(plain, trial.values()),
            group="path",
            diagnosis="with a closure the weights differ by {} from those without",
            n_steps=STEPS,
        )


def _applies(subject: Subject) -> str:
    return (
        "it steps while backward runs, so that no closure can do so for it"
        if subject.tags.steps_in_backward
        else ""
    )


LAW = GateLaw(
    text=law_text(
        "closure",
        "A closure is called once",
        "step(closure) calls it once with gradients on, returns its loss, and steps as without one.",
        equation="step(f) = f(), then step()",
        source="torch.optim.Optimizer.step",
        meaning="Training with a closure evaluates twice, fails, or loses its loss.",
    ),
    tier="exact",
    blind_to="how often an optimizer that needs a closure calls it",
    check=check,
    milder={"": ("fragility", "most trainings call step() without a closure")},
    applies=_applies,
)
