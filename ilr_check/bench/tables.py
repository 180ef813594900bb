"""Results as Markdown, for docs/speed.md and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from ilr_check.bench.minimum import flops
from ilr_check.bench.results import MEANING, PATHS, Bench, Row, ratio
from ilr_check.bench.workloads import WORKLOADS

AXIS_WORDS = {"steps": "steps, set-up and all", "batch": "batch size"}


def markdown(bench: Bench, figure: str | None = None) -> str:
    """The page: how it was measured, time, ratios, memory and compile time, scaling; ``figure`` is a link."""
    parts = [_head(bench)]
    if figure is not None:
        parts.append(f"![Microseconds a run-step against the number of runs]({figure})")
    for name in dict.fromkeys(row.workload for row in bench.rows):
        title = WORKLOADS[name].title if name in WORKLOADS else name
        million = (
            f"{flops(WORKLOADS[name]) / 1e6:.2g} MFLOP of products a run-step" if name in WORKLOADS else ""
        )
        parts.append(f"## {name}: {title}\n\n{million}\n\n{times(bench, name)}\n\n{costs(bench, name)}")
    if bench.absent:
        parts.append(
            "\n".join(f"- {a.path} on {a.workload} was not measured: {a.reason}" for a in bench.absent)
        )
    if bench.scaling:
        parts.append(_scaling(bench))
    return "\n\n".join(parts) + "\n"


def times(bench: Bench, workload: str) -> str:
    """Microseconds a run-step by path and runs, and what the compiled fleet is of each other path."""
    rows = [row for row in bench.rows if row.workload == workload]
    counts = sorted({row.runs for row in rows})
    lines = [["us a run-step", *(f"{count} run{'s' * (count > 1)}" for count in counts)]]
    for path in PATHS:
        found = [bench.row(workload, path, count) for count in counts]
        if any(found):
            lines.append([path, *(_number(row.us_per_run_step) if row else "" for row in found)])
    for slow, fast, words in COMPARISONS:
        cells = [_ratio(bench.row(workload, slow, n), bench.row(workload, fast, n)) for n in counts]
        if any(cells):
            lines.append([words, *cells])
    return _table(lines)


COMPARISONS = (
    ("loop", "eager", "eager: times faster than the loop"),
    ("loop", "compiled", "compiled: times faster than the loop"),
    ("loop", "blackbox", "blackbox: times faster than the loop"),
    ("jax", "compiled", "compiled: times faster than JAX"),
    ("limit", "compiled", "compiled: share of the matrix-product limit"),
)
"""(numerator, denominator, words); the limit over the compiled time is a share."""


def costs(bench: Bench, workload: str) -> str:
    """Peak memory above a warm process, beside the theoretical minimum, and compile time."""
    rows = [row for row in bench.rows if row.workload == workload and row.path != "limit"]
    counts = sorted({row.runs for row in rows})
    lines = [["MiB at the peak", *(f"{n} run{'s' * (n > 1)}" for n in counts), "compile, s"]]
    minimum = {row.runs: row.minimum_mib for row in rows}
    lines.append(["theoretical minimum", *(_number(minimum[n]) for n in counts), ""])
    for path in PATHS:
        found = [bench.row(workload, path, n) for n in counts]
        if path == "limit" or not any(found):
            continue
        longest = max(row.compile_seconds for row in found if row)
        peaks = ["" if row is None else _peak(row) for row in found]
        lines.append([path, *peaks, f"{longest:.0f}" if longest else ""])
    return _table(lines)


def _head(bench: Bench) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in bench.machine.items() if value is not None)
    versions = ", ".join(f"{name} {v}" for name, v in bench.versions.items() if v != "absent")
    meanings = "\n".join(f"- **{path}**: {MEANING[path]}" for path in PATHS)
    return f"""# Speed, side by side

Made by `ilr-check bench --markdown`; do not edit. Every path runs in a process of its own, and the processes
are sampled in turn, {bench.rounds} rounds. Times are medians; a ratio is the median of the ratios of samples
of the same round, so what slows the machine for a while cancels. Times are of steps in the middle of a
training; drawing initial weights and compiling are not in them. float32, plain SGD with weight decay,
scikit-learn digits. Device: {bench.device}. The fleet records each 32nd step.

{machine}. {versions}.

{meanings}

The theoretical minimum of memory is parameters, gradients, optimizer state and one batch of activations (the
input, each layer's output, the logits), of all runs at once. The peak is what training every run takes above
the resident memory of a process that has compiled and trained before. A fleet trains a chunk of runs at a
time and a loop one run, so they may stay below the minimum of all runs."""


def _scaling(bench: Bench) -> str:
    lines = [["path", "against", "points", "us a run-step", "exponent", "95 % interval"]]
    lines += [
        [
            fit.path,
            AXIS_WORDS.get(fit.axis, fit.axis),
            ", ".join(map(str, fit.values)),
            ", ".join(map(_number, fit.us_per_run_step)),
            f"{fit.exponent:.2f}",
            f"{fit.low:.2f} to {fit.high:.2f}",
        ]
        for fit in bench.scaling
    ]
    return f"""## Scaling

Cost of a run-step proportional to the power `exponent` of one quantity, the others as in the reference
workload with 64 runs. A wide interval means that the points are not on a power law: small nets are bound by
calls, large ones by arithmetic.

{_table(lines)}"""


def _ratio(slow: Row | None, fast: Row | None) -> str:
    return "" if slow is None or fast is None else _number(ratio(slow.samples, fast.samples))


def _peak(row: Row) -> str:
    """Blank where fewer runs than the column says were in memory; a loop never has more than one."""
    partial = row.path == "jax" and row.timed_runs < row.runs
    return "" if partial or row.peak_mib is None else _number(row.peak_mib)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(lines: Iterable[list[str]]) -> str:
    head, *body = lines
    return "\n".join(
        ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
        + ["| " + " | ".join(line) + " |" for line in body]
    )
