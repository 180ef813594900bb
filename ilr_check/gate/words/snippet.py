"""Write the smallest reproducing case as a few lines of plain torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ilr_check.gate.reference.trajectory import Deviation, Trajectory
from ilr_check.gate.subject import Subject
from ilr_check.gate.words.reproduction import reproduces
from ilr_check.optim.contracts.running import Array
from ilr_check.optim.optax_target import PREFIX


def trajectory_snippet(
    subject: Subject, trajectory: Trajectory, found: Deviation, hyper: Mapping[str, Any]
) -> str:
    """Return the shortest lines that repeat a trajectory up to its worst step and print what was measured.

    The worst entry alone is tried first, then its whole tensor, then all tensors, for it may be their company
    that goes wrong. The text is empty where none of them prints that number, as with several groups.
    """
    everything = list(range(len(trajectory.dtypes)))
    mixed = len(set(trajectory.dtypes)) > 1
    tries: list[tuple[Sequence[int], bool]] = (
        [(everything, True)] if mixed else [([found.tensor], False), ([found.tensor], True)]
    )
    if len(trajectory.dtypes) > 1 and not mixed:
        tries.append((everything, True))
    for shown, whole in tries:
        text = _snippet(subject, trajectory, found, hyper, shown, whole)
        if reproduces(text, subject, found.measured):
            return text
    return ""


def _snippet(
    subject: Subject,
    trajectory: Trajectory,
    found: Deviation,
    hyper: Mapping[str, Any],
    shown: Sequence[int],
    whole: bool,
) -> str:
    mixed = len(set(trajectory.dtypes)) > 1
    i = found.tensor

    def tensor(array: Array, k: int) -> str:
        kept = array if whole else array.reshape(-1)[found.entry : found.entry + 1]
        return _tensor(kept, trajectory.dtypes[k] if mixed else "")

    name = {k: f"w{k}" if len(shown) > 1 else "w" for k in shown}
    lines = head(subject, "float64" if mixed else trajectory.dtypes[i])
    lines += [f"{name[k]} = torch.nn.Parameter({tensor(trajectory.starts[k], k)})" for k in shown]
    parameters = ", ".join(name.values())
    lines.append(f"optimizer = {call(subject, f'[{parameters}]', hyper)}")
    before: Mapping[str, Any] = hyper
    for step in trajectory.steps[: found.step + 1]:
        changed = {k: v for k, v in step.hyper.items() if before.get(k) != v}
        lines += [f"optimizer.param_groups[0][{_own(subject, k)!r}] = {v!r}" for k, v in changed.items()]
        before = {**before, **step.hyper}
        for k in shown:
            gradient = step.gradients[k]
            if gradient is not None and subject.climbs:
                gradient = -gradient
            lines.append(f"{name[k]}.grad = {None if gradient is None else tensor(gradient, k)}")
        lines.append("optimizer.step()")
    entry = f".flatten()[{found.entry}]" if whole else "[0]"
    lines.append(f"print({name[i]}{entry}.item())  # here {found.measured!r}, expected {found.expected!r}")
    return "\n".join(lines)


def head(subject: Subject, dtype: str = "float64") -> list[str]:
    """Return the imports."""
    lines = ["import torch", f"torch.set_default_dtype(torch.{dtype})"]
    module, _, name = subject.title.rpartition(":")
    if subject.title.startswith(PREFIX):
        lines.append("from ilr_check.optim.target import import_target")
        lines.append(f"make = import_target({subject.title!r})")
    elif module.endswith(".py"):
        lines.append(f"{name} = __import__('runpy').run_path({module!r})[{name!r}]")
    elif name.isidentifier():
        lines.append(f"from {module} import {name}")
    else:
        lines.append(f"make = ...  # {subject.title}")
    return lines


def call(subject: Subject, parameters: str, hyper: Mapping[str, Any]) -> str:
    """Return the line that builds the optimizer."""
    name = "make" if subject.title.startswith(PREFIX) else subject.title.rpartition(":")[2]
    arguments, _ = subject.arguments(hyper)
    every = {**subject.args, **arguments, **subject.switches}
    words = "".join(f", {key}={value!r}" for key, value in every.items())
    return f"{name if name.isidentifier() else 'make'}({parameters}{words})"


def _own(subject: Subject, ours: str) -> str:
    return subject.hyper_names[ours].names[0].partition(".")[0]


def _tensor(array: Array | Sequence[float], dtype: str = "") -> str:
    more = f", dtype=torch.{dtype}" if dtype else ""
    return f"torch.tensor({np.asarray(array).tolist()!r}{more})"
