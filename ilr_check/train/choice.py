"""Chooses between eager and compiled training and the number of runs at once, and explains the choice.

The choice depends only on the work ahead and not on anything that differs from call to call, such as free
memory or what is compiled already. The same fleet must give the same numbers tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ilr_check.nets.specs import AttentionSpec, MLPSpec, NetSpec, ResNetSpec
from ilr_check.nets.transformer_specs import TransformerSpec
from ilr_check.train.compiling import (
    COLD_SECONDS,
    NO_COMPILER,
    RUN_STEPS_THAT_PAY,
    SAVED_MICROSECONDS,
    WARM_SECONDS,
    compile_pays,
    has_compiler,
    run_steps_that_pay,
)

MEMORY_LIMIT, GPU_MEMORY_LIMIT = 2 * 2**30, 16 * 2**30
"""Bytes that one chunk of a fleet may take on a CPU and on a GPU, unless the caller sets another limit. The
small nets keep to the first limit. A GPU that is fit for full-size nets has the second to spare."""
OVERHEAD = 3.0
"""Eager steps hold up to this many times the footprint: new weights beside old ones, and every
intermediate."""


LANES, CONVOLUTIONAL_LANES = {"cpu": 64, "cuda": 256}, {"cpu": 8, "cuda": 64}
"""The number of runs at once. On a CPU, a run-step of a convolutional net costs half as much with 8 runs as
with 64, whose activations do not fit into the caches. A run-step of the reference net costs 46 us with 8
runs, 35 with 16 and 29 with 64. On an H100, the products of a convolutional net cost the same per run with 64
as with 512 runs, and those of the reference net cost 6.7 us with 64 and 1.0 with 1024. But a short last chunk
costs as much as a full one."""
LANES_OF_LANGUAGE_MODELS = {"cpu": 32, "cuda": 64}
"""On a CPU, a run-step of two blocks of width 32 costs 5.0 ms with 8 runs, 4.2 with 16, 3.7 with 32 and 3.7
with 64 (CPU time on a busy machine)."""


@dataclass(frozen=True)
class Footprint:
    """The bytes that one run needs."""

    parameters: int
    gradients: int
    state: int
    activations: int
    """The bytes that the forward pass of one batch keeps for the backward pass."""

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.parameters + self.gradients + self.state + self.activations


@dataclass(frozen=True)
class Choice:
    """How a fleet trains, and why."""

    compiled: bool
    lanes: int
    reason: str
    notice: str = ""
    """A message about something that costs the user time and that the user can fix."""


def footprint(module: nn.Module, x: Tensor, slots: int) -> Footprint:
    """Return the footprint of one run with this batch and ``slots`` tensors of optimizer state per weight."""
    own = {p.data_ptr() for p in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # The result keeps the saved tensors alive, so that no address is used twice.
        _result = module(x).sum()
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    return Footprint(size, size, slots * size, sum(kept.values()))


def usual_lanes(net: NetSpec, device: str) -> int:
    """Return the usual number of runs at once for a kind of net. It may change the last bits, so nothing else
    decides."""
    if isinstance(net, TransformerSpec):
        return LANES_OF_LANGUAGE_MODELS[device]
    flat = isinstance(net, MLPSpec | AttentionSpec) or (isinstance(net, ResNetSpec) and len(net.shape) == 1)
    return (LANES if flat else CONVOLUTIONAL_LANES)[device]


def usual_memory(device: str) -> int:
    """Return how many bytes a chunk of a fleet may take on a device."""
    return MEMORY_LIMIT if device == "cpu" else GPU_MEMORY_LIMIT


def fewer_lanes(net: NetSpec, device: str, runs: int) -> int | None:
    """Return ``runs`` if they are fewer than the usual lanes, else None. The other lanes would only repeat a
    run."""
    return runs if runs < usual_lanes(net, device) else None


def choose(
    bytes_of_run: int,
    *,
    lanes: int,
    compile: bool | None,
    expected_run_steps: int,
    enough: int = 16,
    memory_limit: int = MEMORY_LIMIT,
    device: str = "cpu",
) -> Choice:
    """Return the choice. ``compile`` overrides it, unless it is None.

    ``lanes`` is halved until a chunk fits into ``memory_limit`` bytes. With ``enough`` lanes, a step does not
    wait for Python. Raises ``ValueError`` if ``lanes`` is below 1.
    """
    if lanes < 1:
        raise ValueError(f"lanes={lanes}: must be at least 1")
    fitting = lanes
    while fitting > 1 and OVERHEAD * fitting * bytes_of_run > memory_limit:
        fitting //= 2
    reasons = []
    if fitting < lanes:
        reasons.append(
            f"{fitting} runs at once instead of {lanes}, because a run needs {bytes_of_run / 2**20:.3g} MiB "
            f"and a chunk may take {memory_limit / 2**20:.0f} MiB"
        )
    if compile is not None:
        wanted = compile
        reasons.insert(0, "compiled, as requested" if compile else "eager, as requested")
    else:
        wanted = compile_pays(expected_run_steps, fitting, enough, device)
        reasons.insert(
            0,
            f"{'compiled' if wanted else 'eager'}, because {expected_run_steps} run-steps are planned on "
            f"{fitting} lanes, and {run_steps_that_pay(device)} on at least {enough} lanes repay compiling",
        )
    if wanted and not has_compiler():
        return Choice(False, fitting, f"eager, without a compiler; {'; '.join(reasons)}", NO_COMPILER)
    return Choice(wanted, fitting, "; ".join(reasons))


def explained() -> str:
    """Return the cost model in one sentence."""
    return (
        f"training is compiled from {RUN_STEPS_THAT_PAY} run-steps on (on a GPU from "
        f"{run_steps_that_pay('cuda')}); on a CPU compiling costs {COLD_SECONDS:g} s for the first net on a "
        f"machine and {WARM_SECONDS:g} s for a further net, and saves {SAVED_MICROSECONDS:g} us per "
        f"run-step of a small net; runs train in chunks of at most {MEMORY_LIMIT // 2**20} MiB"
    )
