"""A step changes neither the gradients nor the storage of the weights, and keeps no alias of either."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.laws.switches import offered, refusal_of, usable
from ilr_check.gate.stimuli.paths import Path, difference, paths
from ilr_check.gate.subject import Subject
from ilr_check.gate.trial import Trial

ORDER = 8
STEPS = 4


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Compare gradients and storage before and after; overwrite gradients between steps."""
    every = paths(subject, circumstances, steps=STEPS)
    if subject.tags.steps_in_backward:
        yield _released(next(iter(every.values())))
        return
    for words, path in every.items():
        yield from _one(words, path)
    for name, switch in offered(subject).items():
        climbing = subject.with_switches(**switch)
        if not refusal_of(climbing):
            yield _left(name, replace(next(iter(every.values())), subject=climbing))
    for name, switch in usable(subject).items():
        for words, path in every.items():
            bare = {k: v for k, v in path.hyper.items() if k != "weight_decay"}
            switched = replace(path, subject=path.subject.with_switches(**switch), hyper=bare)
            yield _refilled(f"{name}, {words}", switched)


def _one(words: str, path: Path) -> Iterable[Reading]:
    trial = path.begin()
    where = [p.data_ptr() for p in trial.parameters]
    yield _left(words, path, trial)
    yield fact_reading(
        where == [p.data_ptr() for p in trial.parameters],
        group=f"storage, {words}",
        message="data_ptr() of the weights before and after a step",
        diagnosis="step replaces the storage of the weights, so that views and tied weights go stale",
    )
    yield _refilled(words, path)
    if path.hyper.get("weight_decay"):
        # Decay in the gradient makes a new tensor of it; without, the gradient itself may become the state.
        bare = replace(path, hyper={**path.hyper, "weight_decay": 0.0})
        yield _refilled(f"{words}, no weight decay", bare)


def _left(words: str, path: Path, trial: Trial | None = None) -> Reading:
    """Compare the gradients after the first step with those that were handed over."""
    trial = path.begin() if trial is None else trial
    handed = path.gradients[0]
    trial.step(handed)
    left = [p.grad for p in trial.parameters]
    kept = [g for g in left if g is not None]
    gone = len(kept) < len(left)
    size = float("inf") if gone else difference(kept, [path.subject.handed(g) for g in handed])
    return same_reading(
        size,
        group=f"gradients, {words}",
        diagnosis="step clears the gradients" if gone else "step changes the gradients by {}",
    )


def _refilled(words: str, path: Path) -> Reading:
    # backward() does this after zero_grad(set_to_none=False): the same tensors get new values.
    trial = path.begin()
    for parameter in trial.parameters:
        parameter.grad = torch.zeros_like(parameter)
    for row in path.gradients:
        trial.optimizer.zero_grad(set_to_none=False)
        for parameter, gradient in zip(trial.parameters, row, strict=True):
            assert parameter.grad is not None
            parameter.grad.add_(path.subject.handed(gradient))
        trial.optimizer.step()
    return same_reading(
        difference(trial.values(), path.ends()),
        group=f"gradients in place, {words}",
        diagnosis="the state is an alias of the gradient: refilling p.grad in place moves the weights by {}",
        n_steps=STEPS,
    )


def _released(path: Path) -> Reading:
    """Judge whether a step in backward releases its gradient, to which the next backward would add."""
    trial = path.begin()
    trial.step(path.gradients[0])
    left = [p.grad for p in trial.parameters if p.grad is not None and bool(p.grad.any())]
    return fact_reading(
        not left,
        group="released after backward",
        message=f"{len(left)} of {len(trial.parameters)} gradients are left after a step in backward",
        diagnosis="a step in backward leaves its gradient, so the next backward adds to it; call zero_grad() "
        "before each backward, or release p.grad in the hook",
        n_steps=1,
    )


def _applies(subject: Subject) -> str:
    return (
        "its closure computes the gradients, so that they are its own to clear"
        if subject.needs_closure
        else ""
    )


LAW = GateLaw(
    text=law_text(
        "gradients-kept",
        "Gradients and storage stay as they are",
        "A step leaves p.grad and the storage of p, and filling p.grad in place is as good as a new one.",
        equation="g′ = g, &w′ = &w",
        source="torch.optim: gradient accumulation, tied weights and DDP's buckets rest on it",
        meaning="The step works in place on the gradient, keeps it as its state, or rebinds the weights.",
    ),
    tier="exact",
    blind_to="fused kernels that are given a grad_scale, which is to change the gradients",
    check=check,
    applies=_applies,
    milder={
        "storage": ("fragility", "few trainings hold a view of a weight"),
        "gradients, ": ("fragility", "few trainings read a gradient after its step"),
        "released": ("departure", "a training that calls zero_grad() itself is not harmed"),
    },
)
