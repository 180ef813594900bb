"""``zero_grad`` clears every gradient: to None, or to zeros if the caller asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text
from ilr_check.gate.stimuli.paths import paths
from ilr_check.gate.subject import Subject

ORDER = 9


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge both forms after one step."""
    path = next(iter(paths(subject, circumstances, steps=1).values()))
    for set_to_none in (True, False):
        trial = path.advance(path.begin(), 0, 1)
        trial.optimizer.zero_grad(set_to_none=set_to_none)
        left = [p.grad for p in trial.parameters]
        if set_to_none:
            good = all(g is None for g in left)
            wrong = "zero_grad(set_to_none=True) leaves gradients behind"
        else:
            good = all(g is not None and not bool(g.any()) for g in left)
            wrong = "zero_grad(set_to_none=False) does not leave zeros"
        yield fact_reading(
            good, group=f"set_to_none={set_to_none}", message="gradients after zero_grad", diagnosis=wrong
        )


def _applies(subject: Subject) -> str:
    return (
        "it steps while backward runs, and clears gradients itself" if subject.tags.steps_in_backward else ""
    )


LAW = GateLaw(
    text=law_text(
        "zero-grad",
        "zero_grad clears",
        "zero_grad(set_to_none=True) leaves None and zero_grad(set_to_none=False) leaves zeros.",
        equation="g ← None, or g ← 0",
        source="torch.optim.Optimizer.zero_grad",
        meaning="Gradients of one batch leak into the next.",
    ),
    tier="exact",
    blind_to="gradients of parameters that the optimizer does not have",
    check=check,
    applies=_applies,
)
