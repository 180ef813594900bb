"""What units that take hours will cost: a few steps are timed on the device and multiplied."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from ilr_check.claims.claim import Unit, Workload
from ilr_check.nets.build import parameter_shapes
from ilr_check.train.choice import OVERHEAD, fewer_lanes
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.loop import DTYPES
from ilr_check.train.trace import PER_TENSOR

TIMED, REPEATS = {"cpu": (1, 2), "cuda": (8, 40)}, 2
"""Two lengths of training, whose difference leaves out what is paid once, such as capturing; of each the
shorter of two is taken, since a busy machine adds to a time and never takes from it."""

CPU_HOURS = 24.0
"""What full-size units may take on a CPU together; they are meant for a GPU."""

HOST_COPIES = 2
"""Sums over groups and derived columns are kept beside a trace while it is judged."""


@dataclass(frozen=True)
class Price:
    """The predicted cost of one unit: run-steps of its first look and of its last, time, memory."""

    title: str
    run_steps: int
    most_run_steps: int
    seconds_per_run_step: float
    at_once: int
    device: str
    device_bytes: int
    host_bytes: int

    @property
    def hours(self) -> float:
        """Of the first look."""
        return self.run_steps * self.seconds_per_run_step / 3600.0

    @property
    def most_hours(self) -> float:
        """If all looks are needed."""
        return self.most_run_steps * self.seconds_per_run_step / 3600.0

    def words(self) -> str:
        """One line."""
        more = f", at most {duration(self.most_hours)}" if self.most_run_steps > self.run_steps else ""
        return (
            f"{self.title}: {self.run_steps:.3g} run-steps at {1e3 * self.seconds_per_run_step:.3g} ms "
            f"({self.device}, {self.at_once} at once): {duration(self.hours)}{more}; memory "
            f"{self.device_bytes / 2**30:.2g} GiB to train, {self.host_bytes / 2**30:.2g} GiB to record"
        )


def check_affordable(found: Iterable[Price]) -> None:
    """Raise ``ValueError`` where units would keep a CPU busy for more than ``CPU_HOURS``."""
    dear = [price for price in found if price.device == "cpu"]
    hours = sum(price.hours for price in dear)
    if hours > CPU_HOURS:
        raise ValueError(
            f"{len(dear)} units in full size would take {duration(hours)} on this CPU, most of it "
            f"{max(dear, key=lambda price: price.hours).title!r}; they are meant for a GPU: take "
            "--device cuda, name cheaper --claims, or --profile standard"
        )


def duration(hours: float) -> str:
    """Hours in the unit that suits them."""
    if hours < 1.0 / 60.0:
        return f"{3600.0 * hours:.2g} s"
    if hours < 1.0:
        return f"{60.0 * hours:.2g} min"
    return f"{hours:.3g} h" if hours < 72.0 else f"{hours / 24.0:.3g} days"


def prices(units: Iterable[Unit], device: str) -> tuple[Price, ...]:
    """The predicted cost of those units that say what they train; equal steps are timed once."""
    measured: dict[tuple[object, ...], tuple[float, int, int]] = {}
    found = []
    for unit in units:
        load = unit.workload
        if load is None:
            continue
        key = (load.net, load.data, load.batch_size, load.dtype, load.recorded, min(load.runs, 64))
        if key not in measured:
            measured[key] = _measured(load, device)
        seconds, lanes, held = measured[key]
        run_steps = load.populations * load.steps
        found.append(
            Price(
                title=unit.title,
                run_steps=run_steps * load.runs,
                most_run_steps=run_steps * load.most_runs,
                seconds_per_run_step=seconds,
                at_once=lanes,
                device=device,
                device_bytes=held + _recorded(load, load.steps * lanes, 4),
                host_bytes=_recorded(load, run_steps * load.most_runs, 8 * HOST_COPIES),
            )
        )
    return tuple(found)


def _measured(load: Workload, device: str) -> tuple[float, int, int]:
    """Seconds a run-step, runs at once, and the bytes that training them takes."""
    fleet = Fleet(
        load.net,
        load.data,
        batch_size=load.batch_size,
        dtype=DTYPES[load.dtype],
        device=device,
        lanes=fewer_lanes(load.net, device, load.runs),
        expected_run_steps=load.populations * load.runs * load.steps,
    )
    used = min(load.runs, fleet.lanes)
    # Steps so small that no run leaves the finite numbers, whatever the recipe.
    runs = Runs(seeds=list(range(used)), lr=1e-3, weight_decay=0.0)
    on_gpu = device == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = _seconds_a_step(fleet, runs, load, device) / used
    x = fleet.dataset.x
    held = (
        torch.cuda.max_memory_reserved()
        if on_gpu
        else round(OVERHEAD * fleet.lanes * fleet.footprint.total) + x.numel() * x.element_size()
    )
    return seconds, used, held


def _seconds_a_step(fleet: Fleet, runs: Runs, load: Workload, device: str) -> float:
    few, many = TIMED[device]
    _seconds(fleet, runs, few, load)  # compiles
    short, long = (min(_seconds(fleet, runs, n, load) for _ in range(REPEATS)) for n in (few, many))
    # The longer training bounds the answer, whatever other work on the machine does to a difference.
    return min(long / many, max((long - short) / (many - few), 0.5 * long / many))


def _seconds(fleet: Fleet, runs: Runs, steps: int, load: Workload) -> float:
    wall, busy = time.perf_counter(), time.process_time()
    # What is measured comes back to the host, so that a GPU has done its work by then.
    fleet.train(runs, steps, record_every=1 if load.recorded else steps)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    # On a CPU that others use, too, the time that this process had is what the work costs on an idle one.
    return min(wall, busy) if fleet.device == "cpu" else wall


def _recorded(load: Workload, run_steps: int, size: int) -> int:
    """Bytes of a trace of so many run-steps."""
    if not load.recorded:
        return 0
    return run_steps * len(PER_TENSOR) * len(parameter_shapes(load.net)) * size
