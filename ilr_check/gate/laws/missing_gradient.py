"""A step does not change a parameter without a gradient, nor a frozen parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ilr_check.gate.interaction import tensors_interact
from ilr_check.gate.law import Circumstances, GateLaw, Reading, fact_reading, law_text, same_reading
from ilr_check.gate.reference.trajectory import probing_gradients
from ilr_check.gate.stimuli.paths import difference, rates
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.words.exceptions import exception_words

ORDER = 6


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge steps without a gradient for each setting: they must not change one bit of the parameter."""
    for setting in subject.settings:
        yield from _one(subject, circumstances, setting)


def _one(subject: Subject, circumstances: Circumstances, setting: Mapping[str, Any]) -> Iterable[Reading]:
    words = subject.words(setting)
    rng = circumstances.generator(words)
    hyper: dict[str, Any] = {**setting, **rates(subject)}
    weights = [subject.tensor(rng.uniform(0.5, 2.0, size=(2, 2))) for _ in range(3)]
    frozen = nn.Parameter(weights[2].clone(), requires_grad=False)
    try:
        trial = subject.start([weights[0].clone(), frozen, weights[1].clone()], **hyper)
        refused = ""
    except SubjectError as error:  # some hang hooks on their parameters, which a frozen one cannot have
        trial = subject.start([weights[0].clone(), weights[2].clone(), weights[1].clone()], **hyper)
        refused = str(error)
    # The gradients change, because under a constant one many a step looks the same at every count.
    drawn = probing_gradients(subject.contract, rng, [(2, 2)], 4)
    gradients = [subject.tensor(row[0]) for row in drawn]
    moved = [0.0, 0.0]
    still = True
    for t, gradient in enumerate(gradients):
        missing = t in (1, 2)
        before = trial.values()
        trial.step([None if missing else gradient, None, gradient])
        after = trial.values()
        if missing:
            moved[0] = max(moved[0], float((after[0] - before[0]).abs().max()))
            still = still and torch.equal(before[2], after[2])
        moved[1] = max(moved[1], float((after[1] - before[1]).abs().max()))
    every = subject.start([weights[0].clone(), weights[1].clone()], **hyper)
    other = subject.start([weights[0].clone(), weights[1].clone()], **hyper)
    full = subject.start([weights[0].clone(), weights[1].clone()], **hyper)
    moves = False
    for t, gradient in enumerate(gradients):
        every.step([None, gradient])
        before = full.values()
        full.step([gradient, gradient])
        moves = moves or (t in (1, 2) and not torch.equal(full.values()[1], before[1]))
        if t in (0, 3):
            other.step([gradient, gradient])
    state = difference([trial.values()[0]], [other.values()[0]])
    stopped = difference([trial.values()[2]], [every.values()[1]])
    cases = {
        "without gradient": (moved[0], "a parameter whose gradient is None is moved by {}"),
        "frozen": (moved[1], "a parameter that needs no gradient is moved by {}"),
        "state": (state, "steps without a gradient change the state: later steps deviate by {}"),
        "its neighbour": (stopped, "a missing gradient changes the step of the next parameter by {}"),
    }
    interact = tensors_interact(subject)
    for group, (size, sentence) in cases.items():
        told = interact if group in ("state", "its neighbour") else ""
        if group == "frozen" and refused:
            told = f"a parameter that needs no gradient is refused: {refused}"
        if told:
            yield Reading(group=f"{group}, {words}", verdict="skipped", message=told)
            continue
        yield same_reading(size, group=f"{group}, {words}", diagnosis=sentence, n_steps=4)
    late = subject.start([weights[0].clone(), weights[1].clone()], **hyper)
    failed = ""
    try:
        late.step([None, gradients[0]])
        late.step([gradients[1], gradients[1]])
    except Exception as error:
        failed = exception_words(error)
    yield fact_reading(
        not failed,
        group=f"late first gradient, {words}",
        message=failed or "a parameter gets its first gradient one step after another",
        diagnosis=f"a first gradient that comes one step after another's ends the step: {failed}",
        n_steps=2,
    )
    yield _nothing_first(subject, weights[:2], gradients, words, hyper)
    # Bitwise it may differ from the full run, where all gradients are clipped together; but it has to move
    # at a step at which it moves there, which an optimizer that collects gradients of several steps does not.
    yield fact_reading(
        not (still and moves),
        group=f"those after it, {words}",
        message="whether the parameter after those without a gradient moves",
        diagnosis="parameters after one without a gradient are not stepped",
        n_steps=4,
    )


def _nothing_first(
    subject: Subject,
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    words: str,
    hyper: Mapping[str, Any],
) -> Reading:
    """Judge a first step at which no parameter has a gradient: the steps after it leave finite weights."""
    trial = subject.start([w.clone() for w in weights], **hyper)
    failed = ""
    try:
        trial.step([None] * len(weights))
        for gradient in gradients:
            trial.step([gradient] * len(weights))
    except Exception as error:  # whatever the target raises here is the finding
        failed = exception_words(error)
    finite = all(bool(w.isfinite().all()) for w in trial.values())
    return fact_reading(
        not failed and finite,
        group=f"no gradient at first, {words}",
        message=failed or "steps after one at which no parameter has a gradient",
        diagnosis=f"a first step without any gradient ends the training: {failed}"
        if failed
        else "after a first step without any gradient the weights are not finite",
        n_steps=1 + len(gradients),
    )


LAW = GateLaw(
    text=law_text(
        "missing-gradient",
        "No gradient, no step",
        "A parameter whose gradient is None keeps its weights and its state, bit for bit.",
        equation="g = None ⇒ w′ = w",
        source="torch.optim: such parameters are passed over, weight decay included",
        meaning="Frozen or unused parameters decay, coast on momentum, or age.",
    ),
    tier="exact",
    blind_to="gradients of zero, which do count",
    check=check,
    milder={
        "no gradient at first": ("fragility", "few trainings step before there is any gradient"),
        "late first gradient": ("fragility", "it shows only where a gradient is missing in some steps"),
        "state": ("fragility", "it shows only where a gradient is missing in some steps"),
        "its neighbour": ("fragility", "it shows only where a gradient is missing in some steps"),
    },
)
