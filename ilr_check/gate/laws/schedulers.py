"""Each step uses the lr that torch's scheduler has set."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import lr_scheduler

from ilr_check.gate.law import Circumstances, GateLaw, Reading, law_text, needs
from ilr_check.gate.reference.comparison import compared
from ilr_check.gate.reference.trajectory import Step, Trajectory, probing_gradients
from ilr_check.gate.subject import Subject

ORDER = 28
STEPS = 6
SHAPE = (3, 4)
LR, WEIGHT_DECAY = 0.2, 0.3
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.3),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: (t + 1) / STEPS),
    "LambdaLR from 0": lambda o: lr_scheduler.LambdaLR(o, lambda t: t / STEPS),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.ConstantLR(o, factor=0.1, total_iters=2), lr_scheduler.ExponentialLR(o, gamma=0.7)],
        milestones=[2],
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5),
}


def applies(subject: Subject) -> str:
    """Return why the law is not judged: torch needs a torch.optim.Optimizer with lr in its groups."""
    reason = needs("lr")(subject)
    if reason:
        return reason
    built = subject.build([torch.nn.Parameter(torch.ones(2, 2))])
    if not isinstance(built, torch.optim.Optimizer):
        return "it is no torch.optim.Optimizer, and torch's schedulers take no other"
    return "" if "lr" in built.param_groups[0] else "it keeps no lr in its param_groups"


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge five schedulers; the reference implementation gets the lr of the group before each step."""
    contract = subject.contract
    assert contract is not None
    hyper: dict[str, Any] = {"lr": LR}
    if subject.can_vary("weight_decay"):
        hyper["weight_decay"] = WEIGHT_DECAY
    for name, make in SCHEDULERS.items():
        rng = circumstances.generator(name)
        start = rng.uniform(0.5, 2.0, size=SHAPE)
        gradients = probing_gradients(contract, rng, [SHAPE], STEPS)
        trial = subject.start([subject.tensor(start)], **hyper)
        steps: list[Step] = []
        with warnings.catch_warnings():
            # torch warns of deprecated arguments of its own schedulers.
            warnings.simplefilter("ignore")
            scheduler = make(trial.optimizer)
            begun = trial.hyper
            for t in range(STEPS):
                rate = float(trial.optimizer.param_groups[0]["lr"])
                before = subject.rounded(trial.values()[0])
                trial.step([subject.tensor(gradients[t][0])])
                after = subject.rounded(trial.values()[0])
                steps.append(
                    Step({**hyper, "lr": rate}, [subject.rounded(gradients[t][0])], [before], [after])
                )
                if name == "ReduceLROnPlateau":
                    scheduler.step(1.0)
                else:
                    scheduler.step()
        trajectory = Trajectory(begun, [subject.rounded(start)], steps, [subject.dtype])
        yield compared(subject, trajectory, hyper, group=name, prefix=f"under {name}: ")


LAW = GateLaw(
    text=law_text(
        "schedulers",
        "torch's schedulers step it",
        "Under StepLR, CosineAnnealingLR, LambdaLR, SequentialLR, ReduceLROnPlateau a step takes its lr.",
        equation="w_{t+1} = textbook(w_t, g_t, lr_t)",
        source="torch.optim.lr_scheduler",
        meaning="lr is cached at construction or in the state: a schedule does nothing or comes late.",
    ),
    tier="exact",
    blind_to="schedulers that change momentum or wd",
    check=check,
    applies=applies,
)
