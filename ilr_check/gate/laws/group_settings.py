"""Each parameter group uses its own lr and wd; a group that is added later starts afresh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ilr_check.gate.driving import arranged
from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs, needs_schedule
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import Step, Trajectory, probing_gradients
from ilr_check.gate.subject import Subject, SubjectError
from ilr_check.gate.trial import Trial

ORDER = 25
STEPS, LATE = 4, 2
SHAPE = (3, 4)
GROUPS = (
    {"lr": 0.3, "weight_decay": 0.1},
    {"lr": 0.05, "weight_decay": 0.0},
    {"lr": 0.11, "weight_decay": 0.4},
)


def applies(subject: Subject) -> str:
    """Return why the law is not judged: lr and wd are not both in ``param_groups``."""
    reason = needs("lr")(subject)
    if reason:
        return reason
    return needs_schedule(subject) if subject.can_vary("weight_decay") else ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge two groups, the second with its own options, and a group that is added after two steps."""
    contract = subject.contract
    assert contract is not None
    rng = circumstances.generator()
    starts = [rng.uniform(0.5, 2.0, size=SHAPE) for _ in GROUPS]
    gradients = probing_gradients(contract, rng, [SHAPE] * len(GROUPS), STEPS)
    weights = subject.parameters(subject.tensor(start) for start in starts)
    own = {
        ours: subject.hyper_names[ours].names[0] for ours in ("lr", "weight_decay") if subject.can_vary(ours)
    }

    def group(i: int) -> dict[str, Any]:
        return {"params": [weights[i]], **{own[k]: v for k, v in GROUPS[i].items() if k in own}}

    more = _options(subject)

    try:
        optimizer = subject.build([group(0), {**group(1), **more}], **dict.fromkeys(own, 0.017))
    except SubjectError as error:
        if not subject.takes_names:
            raise
        yield Reading(group="", verdict="skipped", message=f"it takes names and no groups of them: {error}")
        return
    trial = Trial(subject, weights[:2], optimizer)
    steps: list[list[Step]] = [[], [], []]
    for t in range(STEPS):
        if t == LATE:
            (late,) = arranged([group(2)], subject.tags, named=subject.takes_names)
            optimizer.add_param_group(late)
            trial.parameters.append(weights[2])
        before = [subject.rounded(w) for w in trial.values()]
        trial.step([subject.tensor(g) for g in gradients[t][: len(before)]])
        for i, after in enumerate(trial.values()):
            hyper: dict[str, Any] = {k: v for k, v in GROUPS[i].items() if k in own}
            steps[i].append(
                Step(hyper, [subject.rounded(gradients[t][i])], [before[i]], [subject.rounded(after)])
            )
    for i, words in enumerate(("first group", "second group", "group added after two steps")):
        hyper = {k: v for k, v in GROUPS[i].items() if k in own}
        read = subject.read(optimizer, group=i)
        trajectory = Trajectory({**read, **hyper}, [subject.rounded(starts[i])], steps[i], [subject.dtype])
        yield compared(subject, trajectory, hyper, group=words, prefix=f"{words}: ")


def _options(subject: Subject) -> Mapping[str, Any]:
    """Return further options for the second group: those of the last setting that a group accepts."""
    built = subject.build([nn.Parameter(torch.ones(2, 2))])
    for setting in reversed(subject.settings):
        numbers = {k: v for k, v in setting.items() if isinstance(v, float)}
        arguments, _ = subject.arguments(numbers)
        if arguments and all(name in built.param_groups[0] for name in arguments):
            return arguments
    return {}


LAW = GateLaw(
    text=law_text(
        "group-settings",
        "Each parameter group goes by its own settings",
        "lr and wd of a group act on that group alone; a group added later starts at step 1.",
        equation="w_i′ = textbook(w_i, g_i, lr_i, wd_i, t_i)",
        source="torch.optim: per-parameter options, add_param_group",
        meaning="The constructor's values or another group's are used, or a step count is shared.",
        rivals=("the first group's lr", "a shared step count"),
    ),
    tier="exact",
    blind_to="options that are no numbers",
    check=check,
    milder={
        "group added after two steps": ("fragility", "most trainings build all groups at the start"),
    },
    applies=applies,
)
