"""The measured ways of training many runs, with one interface: warm up, then take a sample.

A sample times steps in the middle of a training. It does not include drawing initial weights, building a net
or compiling.
"""

from __future__ import annotations

import time
from contextlib import suppress
from math import inf

import torch
from torch import Tensor, nn

from ilr_check.bench.minimum import flops, products
from ilr_check.bench.path import Path, Unavailable
from ilr_check.bench.results import PathName
from ilr_check.bench.workloads import DATA, Workload
from ilr_check.data.sets import load
from ilr_check.nets.build import build, initial_parameters
from ilr_check.nets.norms import Norm
from ilr_check.optim.sgd import plain
from ilr_check.train.blackbox import BlackBox
from ilr_check.train.choice import usual_lanes
from ilr_check.train.compiling import has_compiler
from ilr_check.train.determinism import reproducible
from ilr_check.train.fleet import BLOCK, Fleet, Runs

LOOPED = 4
"""The number of nets of the loop that are timed. The loop trains one after the other, so its cost is
proportional to their number."""
FEWEST_STEPS = 2
"""The least number of steps in a sample, however slow they are."""
LARGE = (256, 512, 1024, 2048)
"""The sizes of the square products among which the fastest is taken."""
LIMIT_RUNS = 8
"""The runs whose products are computed at once for the limit on a CPU. Their factors still fit into the
caches."""


def make(path: PathName, workload: Workload, device: str = "cpu") -> Path:
    """Return the path, ready to warm up. Raises ``Unavailable`` if this machine lacks what it needs."""
    if path == "loop":
        return Loop(workload, device)
    if path == "limit":
        return Limit(workload, device)
    if path == "product":
        return LargeProduct(workload, device)
    if path == "jax":
        from ilr_check.bench.jax_path import JaxPath

        return JaxPath(workload)
    if path in ("compiled", "blackbox") and not has_compiler():
        raise Unavailable("there is no C++ compiler, so nothing can be compiled; install g++")
    return FleetPath(workload, path, device)


class Loop:
    """One net after the other, as a user would write it: stock norm layers and a real optimizer."""

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.workload, self.device = workload, device
        self.data = load(DATA, dtype=torch.float32, device=device)

    def timed(self, runs: int) -> int:
        return min(runs, LOOPED)

    def compile(self, runs: int) -> float:
        self._train(0, FEWEST_STEPS, inf)
        return 0.0

    def train(self, runs: int, steps: int) -> None:
        for seed in range(self.timed(runs)):
            self._train(seed, steps, inf)

    def sample(self, runs: int, steps: int, seconds: float) -> float:
        share = seconds / self.timed(runs)
        spent = [self._train(seed, steps, share) for seed in range(self.timed(runs))]
        return 1e6 * sum(s for s, _ in spent) / sum(done for _, done in spent)

    def _train(self, seed: int, steps: int, seconds: float) -> tuple[float, int]:
        net = stock_net(self.workload).to(self.device)
        net.load_state_dict(initial_parameters(self.workload.net, seed, dtype=torch.float32), strict=False)
        optimizer = torch.optim.SGD(
            net.parameters(), lr=self.workload.lr, weight_decay=self.workload.weight_decay
        )
        generator = torch.Generator(self.device).manual_seed(seed)
        x, y, size = self.data.x, self.data.y, (self.workload.batch_size,)
        begin = finished(self.device)
        done, now = 0, begin
        while done < steps and (done < FEWEST_STEPS or now - begin < seconds):
            rows = torch.randint(len(x), size, generator=generator, device=self.device)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done, now = done + 1, time.perf_counter()
        return finished(self.device) - begin, done


def finished(device: str) -> float:
    """Return the time in seconds after the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def stock_net(workload: Workload) -> nn.Module:
    """Return the net with torch's own BatchNorm layers, which are faster in a loop than ours with eps 0."""
    net = build(workload.net, dtype=torch.float32)
    on_images = any(p.dim() == 4 for p in net.parameters())
    kind: type[nn.Module] = nn.BatchNorm2d if on_images else nn.BatchNorm1d
    for name, norm in list(net.named_modules()):
        if isinstance(norm, Norm):
            # The number of features is not used without an affine part and running statistics.
            net.set_submodule(name, kind(1, affine=False, track_running_stats=False))
    return net


class _EnoughError(Exception):
    pass


class FleetPath:
    """The fleet as it ships. The path decides ``compile``, and one step per block is recorded."""

    def __init__(self, workload: Workload, path: PathName, device: str = "cpu") -> None:
        self.workload, self.path, self.device = workload, path, device
        # On a GPU caches do not matter, so the fleet has its default number of lanes.
        self.lanes = workload.lanes if device == "cpu" else usual_lanes(workload.net, device)
        self._fleets: dict[int, tuple[Fleet, float]] = {}

    def timed(self, runs: int) -> int:
        return runs

    def compile(self, runs: int) -> float:
        return self._fleet(runs)[1]

    def train(self, runs: int, steps: int) -> None:
        fleet, _ = self._fleet(runs)
        with reproducible(self.device):
            fleet.train(self._runs(runs), steps, record_every=BLOCK)

    def sample(self, runs: int, steps: int, seconds: float) -> float:
        """Time all blocks of steps except the first of each chunk of runs, which contains the set-up."""
        fleet, _ = self._fleet(runs)
        blocks = max(2, -(-steps // BLOCK))
        begin = time.perf_counter()
        stamps: list[float] = []

        def stamp(fraction: float) -> None:
            stamps.append(finished(self.device))
            if len(stamps) >= 2 and stamps[-1] - begin >= seconds:
                raise _EnoughError

        with suppress(_EnoughError), reproducible(self.device):
            fleet.train(self._runs(runs), blocks * BLOCK, record_every=BLOCK, progress=stamp)
        spent, run_steps = 0.0, 0
        for number in range(1, len(stamps)):
            chunk, block = divmod(number, blocks)
            if block:
                spent += stamps[number] - stamps[number - 1]
                run_steps += BLOCK * min(fleet.lanes, runs - chunk * fleet.lanes)
        return 1e6 * spent / run_steps

    def _fleet(self, runs: int) -> tuple[Fleet, float]:
        lanes = min(runs, self.lanes)
        if lanes not in self._fleets:
            fleet = Fleet(
                self.workload.net,
                DATA,
                batch_size=self.workload.batch_size,
                rule=BlackBox(torch.optim.SGD, layout="shared") if self.path == "blackbox" else plain,
                dtype=torch.float32,
                device=self.device,
                lanes=lanes,
                compile=self.path != "eager",
            )
            seconds = []
            for _ in range(2):
                begin = time.perf_counter()
                with reproducible(self.device):
                    fleet.train(self._runs(lanes), FEWEST_STEPS, record_every=BLOCK)
                seconds.append(finished(self.device) - begin)
            self._fleets[lanes] = fleet, seconds[0] - seconds[1] if self.path != "eager" else 0.0
        return self._fleets[lanes]

    def _runs(self, count: int) -> Runs:
        return Runs(seeds=range(count), lr=self.workload.lr, weight_decay=self.workload.weight_decay)


class Limit:
    """Only the matrix products of the step, batched over runs, on factors that exist already."""

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.products, self.device = products(workload), device
        self._factors: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}

    def timed(self, runs: int) -> int:
        return min(runs, LIMIT_RUNS) if self.device == "cpu" else runs

    def compile(self, runs: int) -> float:
        return 0.0

    def train(self, runs: int, steps: int) -> None:
        for _ in range(steps):
            self._once(self.timed(runs))

    def sample(self, runs: int, steps: int, seconds: float) -> float:
        count = self.timed(runs)
        begin = finished(self.device)
        done, now = 0, begin
        while done < steps and (done < FEWEST_STEPS or now - begin < seconds):
            self._once(count)
            done, now = done + 1, time.perf_counter()
        return 1e6 * (finished(self.device) - begin) / (done * count)

    def _once(self, runs: int) -> None:
        if runs not in self._factors:
            self._factors[runs] = [
                (
                    torch.randn(*((1, runs * rows) if shared else (runs, rows)), inner, device=self.device),
                    torch.randn(1 if shared else runs, inner, columns, device=self.device),
                    torch.empty(
                        (1, runs * rows, columns) if shared else (runs, rows, columns), device=self.device
                    ),
                )
                for rows, inner, columns, shared in self.products
            ]
        for left, right, out in self._factors[runs]:
            torch.bmm(left, right, out=out)


class LargeProduct:
    """The operations of a step at the speed of the fastest product of two large square matrices."""

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        self.flops, self.device = flops(workload), device
        self._factors: tuple[Tensor, ...] = ()

    def timed(self, runs: int) -> int:
        return runs

    def compile(self, runs: int) -> float:
        if not self._factors:
            candidates = [
                tuple(torch.randn(size, size, device=self.device) for _ in range(3)) for size in LARGE
            ]
            self._factors = min(candidates, key=lambda factors: min(self._once(factors) for _ in range(3)))
        return 0.0

    def train(self, runs: int, steps: int) -> None:
        self._once(self._factors)

    def sample(self, runs: int, steps: int, seconds: float) -> float:
        begin = time.perf_counter()
        spent: list[float] = []
        while not spent or time.perf_counter() - begin < seconds:
            spent.append(self._once(self._factors))
        return 1e6 * self.flops * sum(spent) / len(spent)

    def _once(self, factors: tuple[Tensor, ...]) -> float:
        """Return the seconds of one operation."""
        left, right, out = factors
        begin = finished(self.device)
        torch.mm(left, right, out=out)
        return (finished(self.device) - begin) / (2 * len(left) ** 3)
