"""Many independent training runs of one net as one tensor program.

Every tensor has a leading axis of *lanes*, one run a lane; gradients are ``torch.func`` gradients mapped over
lanes. Learning rates, decay, momentum, batch orders and noise are data. The number of lanes is fixed and idle
lanes repeat the last run, so that a run's result does not depend on which other runs are trained beside it,
and so that one compilation serves every fleet of a net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from ilr_check.data import DataSpec, TangentNoise
from ilr_check.data.batches import Batches
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.specs import NetSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule, plain
from ilr_check.seeds import derive
from ilr_check.train.compiling import compile_pays, compiled_or_eager, room_for_programs
from ilr_check.train.trace import PER_RUN, Trace

BLOCK = 32
"""Steps whose batches and noise are drawn at once: long enough that the draws cost little, short enough that
the noise of a block (BLOCK x lanes x parameters numbers) stays small beside the machine's memory."""

Array = NDArray[np.float64]
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Runs:
    """Per-run data: ``seeds`` [R]; the rest broadcasts to [steps, R].

    ``init_scale`` multiplies the initial weights; ``init_norm`` instead sets the norm of every tensor.
    """

    seeds: Sequence[int]
    lr: Array | float
    weight_decay: Array | float
    momentum: Array | float = 0.0
    dampening: Array | float = 0.0
    init_scale: Array | float = 1.0
    init_norm: Array | float | None = None


class _Measured(NamedTuple):
    loss: Tensor
    norm2: Tensor
    grad2: Tensor
    next_norm2: Tensor
    inner: Tensor
    turned2: Tensor
    radial: Tensor


class Fleet:
    """A net, its data and an update rule, ready to train any number of runs.

    ``compile`` is True, False or None (decide from ``expected_run_steps``). Raises ``ValueError`` where the
    net and the data do not fit together.
    """

    def __init__(
        self,
        net: NetSpec,
        data: DataSpec,
        *,
        batch_size: int,
        rule: UpdateRule = plain,
        noise: TangentNoise | None = None,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        lanes: int = 64,
        compile: bool | None = None,
        expected_run_steps: int = 0,
    ) -> None:
        self.net, self.data, self.rule, self.noise = net, data, rule, noise
        self.dtype, self.device, self.lanes = dtype, device, lanes
        self.dataset = load(data, dtype=dtype, device=device)
        if net.inputs != self.dataset.x.shape[1] or net.classes < self.dataset.classes:
            raise ValueError(
                f"the net has inputs={net.inputs}, classes={net.classes} and the data "
                f"inputs={self.dataset.x.shape[1]}, classes={self.dataset.classes}; make them fit"
            )
        self.module = build(net, dtype=dtype, device=device)
        inputs = initial_parameters(net, 0, dtype=dtype, device=device)
        self.names = tuple(inputs)
        self.batches = Batches(
            examples=len(self.dataset),
            classes=self.dataset.classes,
            batch_size=batch_size,
            redrawn=data.redrawn,
            device=device,
        )
        wanted = compile_pays(expected_run_steps, lanes) if compile is None else compile
        self._step = compiled_or_eager(self._make_step(), wanted)

    def train(
        self, runs: Runs, steps: int, *, record_every: int = 1, progress: Progress | None = None
    ) -> Trace:
        """Train every run for ``steps`` steps and return what was measured at each recorded step."""
        count = len(runs.seeds)
        chunks = [slice(i, min(i + self.lanes, count)) for i in range(0, count, self.lanes)]
        traces = []
        for number, chunk in enumerate(chunks):
            done = number / len(chunks)
            report = _scaled(progress, done, 1.0 / len(chunks))
            traces.append(self._train_chunk(runs, chunk, steps, record_every, report))
        return _joined(traces)

    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """Outputs [R, examples, classes] of every run on the same inputs, with their batch statistics."""

        def one(parameters: dict[str, Tensor]) -> Tensor:
            out: Tensor = functional_call(self.module, parameters, (x,))
            return out

        with torch.no_grad():
            out: Tensor = vmap(one)(weights)
        return out

    def _make_step(self) -> Callable[..., Any]:
        module, rule, noisy = self.module, self.rule, self.noise is not None

        def loss_of(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return torch.nn.functional.cross_entropy(functional_call(module, parameters, (x,)), y)

        gradient = vmap(grad_and_value(loss_of))

        def step(
            weights: dict[str, Tensor],
            buffers: dict[str, Tensor],
            examples: tuple[Tensor, Tensor],
            index: Tensor,
            label: Tensor,
            noise: dict[str, Tensor],
            hyper: StepHyper,
            size: float,
        ) -> tuple[dict[str, Tensor], dict[str, Tensor], _Measured]:
            x, y = examples
            grads, loss = gradient(weights, x[index], torch.where(label >= 0, label, y[index]))
            new_weights, new_buffers, columns = {}, {}, []
            for name, w in weights.items():
                g = grads[name]
                if noisy:
                    g = g + _tangent(w, noise[name], size)
                h = StepHyper(*(value.reshape(-1, *[1] * (w.dim() - 1)) for value in hyper))
                new, buffer = rule(w, g, buffers.get(name), h)
                new_weights[name] = new
                if buffer is not None:
                    new_buffers[name] = buffer
                columns.append(_measure(w, g, new))
            measured = (torch.stack(column, dim=-1) for column in zip(*columns, strict=True))
            return new_weights, new_buffers, _Measured(loss, *measured)

        return step

    def _train_chunk(
        self, runs: Runs, chunk: slice, steps: int, record_every: int, progress: Progress | None
    ) -> Trace:
        total = len(runs.seeds)
        lane_of = np.minimum(np.arange(chunk.start, chunk.start + self.lanes), chunk.stop - 1)
        seeds = [runs.seeds[i] for i in lane_of]
        columns = {
            # Contiguous, because the compiled step is specialised on strides.
            name: np.ascontiguousarray(np.broadcast_to(np.asarray(value, float), (steps, total))[:, lane_of])
            for name, value in (
                ("lr", runs.lr),
                ("weight_decay", runs.weight_decay),
                ("momentum", runs.momentum),
                ("dampening", runs.dampening),
            )
        }
        columns["dampening"][0] = 0.0
        hyper = StepHyper(*(torch.tensor(c, dtype=self.dtype, device=self.device) for c in columns.values()))
        weights = self._initial(runs, seeds, lane_of, total)
        buffers = {} if self.rule is plain else {n: torch.zeros_like(w) for n, w in weights.items()}
        generators = self.batches.generators(seeds)
        noise_generators = [
            torch.Generator(device=self.device).manual_seed(derive("noise", s)) for s in seeds
        ]
        recorded = np.arange(0, steps, record_every)
        kept: list[_Measured] = []
        alive = torch.zeros(self.lanes, dtype=torch.int64, device=self.device)
        finite = torch.ones(self.lanes, dtype=torch.bool, device=self.device)
        examples = (self.dataset.x, self.dataset.y)
        size = self.noise.size if self.noise else 0.0
        with torch.no_grad(), room_for_programs():
            for start in range(0, steps, BLOCK):
                index, label = self.batches.draw(generators, BLOCK)
                noise_block = list(self._noise_block(weights, noise_generators))
                for offset in range(min(BLOCK, steps - start)):
                    t = start + offset
                    noise = noise_block[offset] if noise_block else {}
                    row = StepHyper(*(values[t] for values in hyper))
                    weights, buffers, measured = self._step(
                        weights, buffers, examples, index[offset], label[offset], noise, row, size
                    )
                    # The loss alone would miss weights so large that the norm layers' variance overflows.
                    finite &= torch.isfinite(measured.loss) & torch.isfinite(measured.next_norm2).all(dim=-1)
                    alive += finite
                    if t % record_every == 0:
                        kept.append(_Measured(*(value.clone() for value in measured)))
                if progress:
                    progress(min(1.0, (start + BLOCK) / steps))
        used = chunk.stop - chunk.start
        arrays = [torch.stack(column)[:, :used].double().cpu().numpy() for column in zip(*kept, strict=True)]
        survived = alive[:used].cpu().numpy()
        return Trace(
            names=self.names,
            steps=recorded,
            loss=arrays[0],
            norm2=arrays[1],
            grad2=arrays[2],
            next_norm2=arrays[3],
            inner=arrays[4],
            turned2=arrays[5],
            radial=arrays[6],
            lr=columns["lr"][recorded, :used],
            weight_decay=columns["weight_decay"][recorded, :used],
            first_bad=np.where(survived < steps, survived, -1),
            final={name: value[:used] for name, value in weights.items()},
            run_steps=steps * used,
        )

    def _initial(
        self, runs: Runs, seeds: Sequence[int], lane_of: NDArray[np.intp], total: int
    ) -> dict[str, Tensor]:
        drawn = [initial_parameters(self.net, s, dtype=torch.float64, device="cpu") for s in seeds]
        scale = torch.tensor(np.broadcast_to(np.asarray(runs.init_scale, float), (total,))[lane_of].copy())
        stacked = {}
        for name in self.names:
            w = torch.stack([parameters[name] for parameters in drawn])
            lanes = (-1, *[1] * (w.dim() - 1))
            w = w * scale.reshape(lanes)
            if runs.init_norm is not None:
                norm = torch.tensor(
                    np.broadcast_to(np.asarray(runs.init_norm, float), (total,))[lane_of].copy()
                )
                w = w * (norm / _dot(w, w).sqrt()).reshape(lanes)
            stacked[name] = w.to(self.dtype).to(self.device)
        return stacked

    def _noise_block(
        self, weights: dict[str, Tensor], generators: Sequence[torch.Generator]
    ) -> Iterator[dict[str, Tensor]]:
        if self.noise is None:
            return
        sizes = [w[0].numel() for w in weights.values()]
        block = torch.stack(
            [
                torch.randn(BLOCK, sum(sizes), generator=g, dtype=self.dtype, device=self.device)
                for g in generators
            ],
            dim=1,
        )
        for row in block:
            parts = row.split(sizes, dim=-1)
            yield {
                name: part.reshape(w.shape) for (name, w), part in zip(weights.items(), parts, strict=True)
            }


def _measure(w: Tensor, g: Tensor, new: Tensor) -> tuple[Tensor, ...]:
    """What is recorded of one tensor's step, each [lanes]; see ``Trace``."""
    norm2, inner = _dot(w, w), _dot(w, new)
    # Taken entry by entry: 1 - cos^2 would lose all digits of a small rotation.
    turned = new - w * (inner / norm2).reshape(-1, *[1] * (w.dim() - 1))
    return norm2, _dot(g, g), _dot(new, new), inner, _dot(turned, turned), _dot(g, w)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """<a, b> of each lane, summed in two stages, so that the rounding bound has n + m terms and not n m."""
    return (a * b).flatten(2).sum(dim=2).sum(dim=1) if a.dim() > 2 else (a * b).sum(dim=1)


def _tangent(w: Tensor, noise: Tensor, size: float) -> Tensor:
    """Project the noise on the tangent space at w and give it length size / ||w||."""
    lanes = (-1, *[1] * (w.dim() - 1))
    norm2 = _dot(w, w)
    tangent = noise - w * (_dot(noise, w) / norm2).reshape(lanes)
    return tangent * (size / (norm2 * _dot(tangent, tangent)).sqrt()).reshape(lanes)


def _scaled(progress: Progress | None, start: float, width: float) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction: progress(start + width * fraction)


def _joined(traces: list[Trace]) -> Trace:
    if len(traces) == 1:
        return traces[0]
    first = traces[0]

    def side_by_side(field: str) -> Any:
        return np.concatenate([getattr(t, field) for t in traces], axis=1)

    return Trace(
        names=first.names,
        steps=first.steps,
        **{field: side_by_side(field) for field in PER_RUN},
        first_bad=np.concatenate([t.first_bad for t in traces]),
        final={name: torch.cat([t.final[name] for t in traces]) for name in first.names},
        run_steps=sum(t.run_steps for t in traces),
    )
