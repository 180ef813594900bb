"""Eager or compiled, and how many runs at once: decided from the work ahead, and explained.

Nothing that differs from one call to the next decides here, such as free memory or what is compiled already:
the same fleet must give the same numbers tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ilr_check.nets.specs import AttentionSpec, MLPSpec, NetSpec, ResNetSpec
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
"""Bytes that one chunk of a fleet may take unless the caller says otherwise, on a CPU and on a GPU. The small
nets keep to the first; a GPU that is fit for full-size ones has the second to spare."""
OVERHEAD = 3.0
"""Eager steps hold up to this many times the footprint: new weights beside old ones, every intermediate."""


LANES, CONVOLUTIONAL_LANES = {"cpu": 64, "cuda": 256}, {"cpu": 8, "cuda": 64}
"""Runs at once. On a CPU a run-step of a convolutional net costs half as much with 8 as with 64, whose
activations leave the caches; of the reference net it costs 46 us with 8, 35 with 16, 29 with 64. On an H100
the products of a convolutional net cost the same a run with 64 as with 512, those of the reference net 6.7 us
with 64 and 1.0 with 1024; but a short last chunk costs as much as a whole one."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that one run cannot do without."""

    parameters: int
    gradients: int
    state: int
    activations: int
    """What one batch's forward pass keeps for the backward pass."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.gradients + self.state + self.activations


@dataclass(frozen=True)
class Choice:
    """How a fleet trains, and why."""

    compiled: bool
    lanes: int
    reason: str
    notice: str = ""
    """What costs the user time and can be mended."""


def footprint(module: nn.Module, x: Tensor, slots: int) -> Footprint:
    """What one run of a net takes with this batch and ``slots`` tensors of optimizer state a weight."""
    own = {p.data_ptr() for p in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # The result holds what is saved, so that no address is used twice.
        _result = module(x).sum()
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    return Footprint(size, size, slots * size, sum(kept.values()))


def usual_lanes(net: NetSpec, device: str) -> int:
    """How many runs at once suit a net: by its kind alone, since the number may change the last bits."""
    flat = isinstance(net, MLPSpec | AttentionSpec) or (isinstance(net, ResNetSpec) and len(net.shape) == 1)
    return (LANES if flat else CONVOLUTIONAL_LANES)[device]


def usual_memory(device: str) -> int:
    """How many bytes a chunk of a fleet may take on a device."""
    return MEMORY_LIMIT if device == "cpu" else GPU_MEMORY_LIMIT


def fewer_lanes(net: NetSpec, device: str, runs: int) -> int | None:
    """``runs``, where they are fewer than the usual lanes, of which the others would only repeat the last."""
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
    """Decide; ``compile`` overrides. ``lanes`` is halved until a chunk of them keeps to ``memory_limit``.

    ``enough`` lanes do not wait for Python.
    """
    if lanes < 1:
        raise ValueError(f"lanes={lanes}: must be at least 1")
    fitting = lanes
    while fitting > 1 and OVERHEAD * fitting * bytes_of_run > memory_limit:
        fitting //= 2
    reasons = []
    if fitting < lanes:
        reasons.append(
            f"{fitting} runs at once instead of {lanes}, since a run needs {bytes_of_run / 2**20:.3g} MiB "
            f"and a chunk may take {memory_limit / 2**20:.0f} MiB"
        )
    if compile is not None:
        wanted = compile
        reasons.insert(0, "compiled, as asked for" if compile else "eager, as asked for")
    else:
        wanted = compile_pays(expected_run_steps, fitting, enough, device)
        reasons.insert(
            0,
            f"{'compiled' if wanted else 'eager'}, since {expected_run_steps} run-steps lie ahead on "
            f"{fitting} lanes and {run_steps_that_pay(device)} on at least {enough} repay compiling",
        )
    if wanted and not has_compiler():
        return Choice(False, fitting, f"eager, without a compiler; {'; '.join(reasons)}", NO_COMPILER)
    return Choice(wanted, fitting, "; ".join(reasons))


def explained() -> str:
    """The cost model in one sentence."""
    return (
        f"fleets of {RUN_STEPS_THAT_PAY} run-steps and more are compiled, on a GPU of "
        f"{run_steps_that_pay('cuda')}: on a CPU that costs {COLD_SECONDS:g} s on a "
        f"new machine and {WARM_SECONDS:g} s a further net, and saves {SAVED_MICROSECONDS:g} us a run-step "
        f"of a small one; runs are taken in chunks of {MEMORY_LIMIT // 2**20} MiB at most"
    )
