"""What some optimizers need at every step besides gradients: a seed for what they draw, and a graph.

An optimizer that draws random numbers differs from itself, and no law could compare two of its trainings. So
every step of it starts from a seed that its first gradient gives: the order of the entries by size, which
neither a sign nor a scale nor a dtype changes. Equal gradients then draw equal numbers, in a copy, in a
resumed training and in a second instance alike.

An optimizer that estimates a Hessian differentiates its gradients. It gets gradients that depend on the
weights, with the curvature ``1/2 + |g|``.
"""

from __future__ import annotations

import random
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ilr_check.gate.process.surroundings import Watch
from ilr_check.gate.subject import Subject

STEPS = 3
SHAPES = ((3, 4), (4,))
CURVATURE = 0.5
NARROW = (torch.bfloat16, torch.float16)
States = tuple[Tensor, Any, Any]


@dataclass
class Service:
    """What every step of torch's optimizers gets while a watch has this service."""

    seeds: bool = False
    graphs: bool = False
    wide: bool = True
    """``False``: it draws for narrow weights alone, and steps of wide ones need no seed."""
    open: list[tuple[States | None, dict[Tensor, Tensor]]] = field(default_factory=list)
    """For each step that runs: the states of the generators, and the plain gradients."""

    def before(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        """Seed the generators and attach graphs; return the arguments of the step, where they change."""
        plain: dict[Tensor, Tensor] = {}
        seeds = self.seeds and (self.wide or any(p.dtype in NARROW for p in _parameters(optimizer)))
        self.open.append((_states() if seeds else None, plain))
        if seeds:
            _seed(_seed_of(_parameters(optimizer)))
        if not self.graphs:
            return None
        closure = next((value for value in (*args[1:], *kwargs.values()) if callable(value)), None)
        if closure is None:
            plain.update(_attach(optimizer))
            return None

        def evaluate() -> Any:
            loss = closure()
            plain.update(_attach(optimizer))
            return loss

        given = tuple(evaluate if value is closure else value for value in args)
        return given, {key: evaluate if value is closure else value for key, value in kwargs.items()}

    def after(self) -> None:
        """Put the generators and the gradients back; what the step did to a gradient stays."""
        if not self.open:
            return
        states, gradients = self.open.pop()
        if states is not None:
            _restore(states)
        for p, plain in gradients.items():
            if p.grad is not None:
                left = p.grad.detach()
                p.grad = plain if torch.equal(plain, left) else left

    def close(self) -> None:
        """Put back what steps that ended with an exception have left open."""
        while self.open:
            self.after()


def service_of(subject: Subject, *, seeded: bool = True) -> Service | None:
    """Return what its steps need, measured when it is first asked for; ``None`` where that is nothing.

    ``seeded=False`` leaves its random numbers as they are, for a law that counts them.
    """
    if "service" not in subject.measured:
        # What the trial steps leave behind is put back, and is told by the laws.
        with Watch().during("its needs"):
            graphs = _needs_graph(subject)
            draws = _draws(subject, graphs)
            # Stochastic rounding draws where the weights are narrow, and there alone.
            narrow = draws or ("bfloat16" in subject.dtypes and _draws(subject, graphs, torch.bfloat16))
            subject.measured["service"] = (draws, narrow, graphs)
    wide, draws, graphs = subject.measured["service"]
    seeds = draws and seeded
    return Service(seeds=seeds, graphs=graphs, wide=wide) if seeds or graphs else None


def draws_numbers(subject: Subject) -> bool:
    """Return whether a step of wide weights moves a random generator."""
    service_of(subject)
    return bool(subject.measured["service"][0])


def _needs_graph(subject: Subject) -> bool:
    """Return whether a step fails with plain gradients and succeeds with those of ``create_graph``."""
    ones = torch.ones(2, 2, dtype=torch.float64, device=subject.device)
    try:
        subject.start([ones.clone()]).step([ones])
        return False
    except Exception:  # whatever the target raises, the second trial tells why
        parameter = nn.Parameter(ones.clone())
    try:
        optimizer = subject.build([parameter])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that such gradients keep their parameters alive
            torch.autograd.backward((parameter**2).sum(), create_graph=True)
        optimizer.step()
    except Exception:  # it fails for another reason, which the laws will tell
        return False
    finally:
        parameter.grad = None  # the circle of the graph would keep all of it in memory
    return True


def _draws(subject: Subject, graphs: bool, dtype: torch.dtype = torch.float64) -> bool:
    ones = [torch.ones(shape, dtype=dtype, device=subject.device) for shape in SHAPES]
    if subject.matrices_only:
        ones = ones[:1]
    try:
        with Watch().during("its draws", Service(graphs=True) if graphs else None):
            trial = subject.start([one.clone() for one in ones])
            before = _states()
            for _ in range(STEPS):
                trial.step(ones)
            return not _same(before, _states())
    except Exception:  # the laws tell what it raises
        return False


def _attach(optimizer: Any) -> dict[Tensor, Tensor]:
    """Let gradients depend on their weights, at the same values; return the plain ones by parameter."""
    plain = {}
    with torch.enable_grad():
        for p in _parameters(optimizer):
            # A step that calls its parent's comes here twice.
            if p.grad is not None and p.requires_grad and not p.grad.requires_grad:
                plain[p] = p.grad
                p.grad = p.grad + (CURVATURE + p.grad.abs()) * (p - p.detach())
    return plain


def _seed_of(parameters: list[Tensor]) -> int:
    """Return a seed from the order of the entries of the first gradient."""
    first = next((p.grad for p in parameters if p.grad is not None), None)
    if first is None:
        return 0
    sizes = first.detach().to_dense().abs().double().cpu().flatten()
    return zlib.crc32(sizes.argsort(stable=True).numpy().tobytes())


def _parameters(optimizer: Any) -> list[Tensor]:
    return [p for group in getattr(optimizer, "param_groups", ()) for p in group["params"]]


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def _states() -> States:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def _restore(states: States) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])


def _same(one: States, other: States) -> bool:
    legacy = one[1][2] == other[1][2] and bool(np.array_equal(one[1][1], other[1][1]))
    return torch.equal(one[0], other[0]) and legacy and one[2] == other[2]
