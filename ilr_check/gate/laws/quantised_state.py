"""State that is quantised in blocks steps a large tensor like its blocks alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ilr_check.gate.agreement import failed_reading
from ilr_check.gate.interaction import interaction_of
from ilr_check.gate.law import (
    Circumstances,
    GateLaw,
    LeftOpen,
    Reading,
    law_text,
    ratio_reading,
    same_reading,
)
from ilr_check.gate.stimuli.courses import StepFailedError
from ilr_check.gate.stimuli.paths import rates
from ilr_check.gate.subject import Subject
from ilr_check.gate.trial import Trial
from ilr_check.gate.words.exceptions import exception_words

ORDER = 30
STEPS, BREAK = 4, 2
LARGE = 4096
"""bitsandbytes and torchao quantise from this number of entries on; the tensor has twice as many."""
USUAL_BLOCK = 256
SMALLEST = 1.0 / 20.0
"""The smallest entry of a block, in units of its largest."""
EVEN_ROOM = STEPS * 2.0**-7
"""Equal entries are the largest of their block, which every code stores without error; a scale has at least
seven bits, and each step stores the state once."""
UNEVEN_ROOM = STEPS * 2.0 / (254.0 * SMALLEST)
"""The smallest entry of a block is stored within half of a level, 1/254 of the largest: linearly for the
first moment, and for the root of the second. Both errors reach the step, and each step stores the state."""


def applies(subject: Subject) -> str:
    """Return why the law is not judged: no such tag, or entries that interact."""
    if subject.tags.state_bits is None:
        return "it does not declare the tag state_bits"
    if interaction_of(subject).within != "entry":
        return LeftOpen("its entries interact, so a block does not step like a tensor of its own")
    return ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge blocks of different sizes, different entries within blocks, and a training that is resumed."""
    block = subject.tags.state_block or USUAL_BLOCK
    blocks = -(-2 * LARGE // block)
    rng = circumstances.generator()
    start = rng.uniform(0.5, 2.0, size=(blocks, block))
    sizes = 10.0 ** rng.permutation(np.linspace(-3.0, 1.0, blocks))[:, None]
    even = sizes * np.ones((blocks, block))
    within = SMALLEST ** rng.uniform(size=(blocks, block)) * rng.choice((-1.0, 1.0), size=(blocks, block))
    cases = {"blocks of different sizes": (even, EVEN_ROOM)}
    if (subject.tags.state_bits or 0) >= 8:
        cases["different entries in a block"] = (sizes * within, UNEVEN_ROOM)
    for group, (gradient, room) in cases.items():
        try:
            yield _compared(subject, group, start, gradient, room)
        except StepFailedError as error:
            yield failed_reading(group, error)
    try:
        yield _resumed(subject, start, even)
    except StepFailedError as error:
        yield failed_reading("resumed", error)


def _compared(subject: Subject, group: str, start: Any, gradient: Any, room: float) -> Reading:
    """Compare the last step of the large tensor with those of its blocks as tensors of their own."""
    whole, apart = _stepped(subject, [start], [gradient]), _stepped(subject, list(start), list(gradient))
    moved = [
        (np.concatenate([v.double().cpu().numpy().ravel() for v in trial.values()]) - before).reshape(
            start.shape
        )
        for trial, before in (whole, apart)
    ]
    with np.errstate(all="ignore"):
        off = np.abs(moved[0] - moved[1]) / np.abs(moved[1])
    off = np.where(moved[0] == moved[1], 0.0, np.where(np.isfinite(off), off, np.inf))
    worst = int(np.argmax(off))
    share = float(off.flat[worst])
    first, second = (float(m.flat[worst]) for m in moved)
    bits = subject.tags.state_bits
    return ratio_reading(
        share / room,
        group=group,
        quantity=f"relative difference of a step / {room:.3g}",
        n_steps=STEPS,
        dtype=subject.dtype,
        message=f"step {STEPS} of {start.size} entries differs from that of its blocks by at most "
        f"{share:.3g} of it, {room:.3g} is allowed",
        diagnosis=f"{group}: with {bits}-bit state, step {STEPS} of a tensor of {start.size} entries moves "
        f"an entry by {first:.3g}, and by {second:.3g} where its block is a tensor of its own"
        if share > room
        else "",
    )


def _stepped(subject: Subject, starts: Sequence[Any], gradients: Sequence[Any]) -> tuple[Trial, Any]:
    """Return a trial after all steps, and its weights before the last one."""
    trial = _begun(subject, starts)
    handed = [_tensor(subject, gradient) for gradient in gradients]
    _advance(trial, handed, STEPS - 1)
    before = np.concatenate([v.double().cpu().numpy().ravel() for v in trial.values()])
    _advance(trial, handed, 1)
    return trial, before


def _begun(subject: Subject, starts: Sequence[Any]) -> Trial:
    hyper = rates(subject)
    if "weight_decay" in hyper:
        hyper["weight_decay"] = 0.0  # decay is no matter of the state, and would hide a wrong step
    return subject.start([_tensor(subject, start) for start in starts], **hyper)


def _advance(trial: Trial, gradients: Sequence[Tensor], steps: int) -> None:
    try:
        for _ in range(steps):
            trial.step(gradients)
    except Exception as error:
        raise StepFailedError(exception_words(error)) from error


def _tensor(subject: Subject, values: Any) -> Tensor:
    shaped = values if np.ndim(values) > 1 else np.asarray(values)[None, :]
    return subject.tensor(shaped)


def _resumed(subject: Subject, start: Any, gradient: Any) -> Reading:
    """Judge a training that is saved and loaded in the middle, with a tensor that is large enough."""
    handed = [_tensor(subject, gradient)]
    whole, _ = _stepped(subject, [start], [gradient])
    trial = _begun(subject, [start])
    _advance(trial, handed, BREAK)
    fresh = _begun(subject, [trial.values()[0].double().cpu().numpy()])
    try:
        fresh.optimizer.load_state_dict(copy.deepcopy(trial.optimizer.state_dict()))
    except Exception as error:
        raise StepFailedError(exception_words(error)) from error
    _advance(fresh, handed, STEPS - BREAK)
    apart = (whole.values()[0] - fresh.values()[0]).abs()
    size = float(torch.nan_to_num(apart.double(), nan=float("inf")).max())
    return same_reading(
        size,
        group="resumed",
        diagnosis=f"a training of {start.size} entries with {subject.tags.state_bits}-bit state, resumed "
        f"after {BREAK} steps, ends elsewhere, by {{}}",
        n_steps=STEPS,
    )


LAW = GateLaw(
    text=law_text(
        "quantised-state",
        "Quantised state has a scale for each block",
        "A tensor that is large enough for quantised state takes the steps that its blocks take as tensors "
        "of their own, within the levels of the code, and is resumed bit for bit.",
        equation="|step(tensor) − step(block)| ≤ levels of (state_bits, state_block)",
        source="Dettmers et al. 2022, 8-bit optimizers via block-wise quantisation, 2048 entries a scale",
        meaning="One large gradient anywhere erases the state of the other blocks, or a block is forgotten.",
        rivals=("one scale for the whole tensor", "a second moment that is rounded down to zero"),
    ),
    tier="exact",
    blind_to="errors that blocks alone have as well; different entries in a block of fewer than 8 bits",
    check=check,
    applies=applies,
)
