"""The ratios of speeds that the guard compares. ``python benchmarks/ratios.py`` measures those of this
machine, to commit them.

Seconds differ from machine to machine and from day to day. A ratio of two samples of one round does not
depend on how busy the machine was in that round, and hardly on anything but the code and the processor.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from ilr_check.bench.measure import Plan, measure
from ilr_check.bench.results import PathName
from ilr_check.bench.running import processor
from ilr_check.bench.workloads import choose
from ilr_check.evidence.manifest import current_hardware

FILE = Path(__file__).with_name("ratios.json")
RUNS, THREADS = 64, 1
PATHS: tuple[PathName, ...] = ("loop", "compiled", "blackbox", "limit")
RATIOS: tuple[tuple[PathName, PathName], ...] = (
    ("loop", "compiled"),
    ("loop", "blackbox"),
    ("limit", "compiled"),
)
"""(slow, fast). The time of the limit over that of the fleet is the share of the limit that it reaches."""
COMMITTED_ROUNDS, ROUNDS = 15, 7
MARGIN = 0.1
"""A ratio may be this much below the lowest committed round before it counts as slower. Without it, the
median of 7 new rounds lies below 15 committed ones by chance in 35 of 7315 cases (the 4 lowest of 22 are all
new), and rounds of one session are more alike than that."""


def machine() -> str:
    """Return the name under which ratios are committed."""
    return f"{processor()}; {current_hardware()['cpu_capability']}; {THREADS} thread"


def measured(workload: str, rounds: int) -> dict[str, list[float]]:
    """Return each ratio of a workload, one number for each round."""
    plan = Plan(workloads=choose([workload]), paths=PATHS, runs=[RUNS], rounds=rounds, seconds=0.3)
    rows, absent = measure(plan, THREADS, lambda text: None)
    if absent:
        raise RuntimeError("; ".join(path.reason for path in absent))
    samples = {row.path: row.samples for row in rows}
    return {
        f"{slow} / {fast}": [round(s / f, 4) for s, f in zip(samples[slow], samples[fast], strict=True)]
        for slow, fast in RATIOS
    }


def slower(found: Mapping[str, Sequence[float]], committed: Mapping[str, Sequence[float]]) -> list[str]:
    """Return a sentence for each ratio that is below the committed rounds, beyond their noise."""
    return [
        f"{name} is {median(found[name]):.3g}, and was {median(rounds):.3g} with no round below "
        f"{min(rounds):.3g}"
        for name, rounds in committed.items()
        if median(found[name]) < (1 - MARGIN) * min(rounds)
    ]


def committed() -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return the committed rounds by machine, workload and ratio."""
    found: dict[str, dict[str, dict[str, list[float]]]]
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return found


def main(workloads: Sequence[str]) -> None:
    """Measure workloads on this machine and write them to the file, beside what is there."""
    known = committed()
    for workload in workloads:
        known.setdefault(machine(), {})[workload] = measured(workload, COMMITTED_ROUNDS)
        FILE.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or ["reference", "cnn"])
