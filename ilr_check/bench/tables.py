"""Results as Markdown, for docs/speed.md and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from ilr_check.bench.minimum import flops
from ilr_check.bench.results import MEANING, PATHS, WITHOUT_MEMORY, Bench, Row, ratio
from ilr_check.bench.workloads import WORKLOADS

AXIS_WORDS = {"steps": "steps, with set-up", "batch": "batch size"}


def markdown(bench: Bench, figure: str | None = None) -> str:
    """Return the page: the method, times, ratios, memory, compile time and scaling.

    ``figure`` is the link of the figure.
    """
    parts = [_head(bench)]
    if figure is not None:
        parts.append(f"![Microseconds per run-step against the number of runs]({figure})")
    for name in dict.fromkeys(row.workload for row in bench.rows):
        title = WORKLOADS[name].title if name in WORKLOADS else name
        million = (
            f"{flops(WORKLOADS[name]) / 1e6:.2g} MFLOP of products per run-step" if name in WORKLOADS else ""
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
    """Return the table of microseconds per run-step by path and runs, with the ratios of ``COMPARISONS``."""
    rows = [row for row in bench.rows if row.workload == workload]
    counts = sorted({row.runs for row in rows})
    lines = [["us per run-step", *(f"{count} run{'s' * (count > 1)}" for count in counts)]]
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
    ("limit", "compiled", "compiled: fraction of the matrix-product limit"),
    ("product", "compiled", "compiled: fraction of the fastest large product"),
    ("product", "limit", "limit: fraction of the fastest large product"),
)
"""(numerator, denominator, words). The time of the limit over the compiled time is a fraction."""


def costs(bench: Bench, workload: str) -> str:
    """Return the table of peak memory above a warm process, the theoretical minimum, and compile time."""
    rows = [row for row in bench.rows if row.workload == workload and row.path not in WITHOUT_MEMORY]
    counts = sorted({row.runs for row in rows})
    lines = [["MiB at the peak", *(f"{n} run{'s' * (n > 1)}" for n in counts), "compile, s"]]
    minimum = {row.runs: row.minimum_mib for row in rows}
    lines.append(["theoretical minimum", *(_number(minimum[n]) for n in counts), ""])
    for path in PATHS:
        found = [bench.row(workload, path, n) for n in counts]
        if path in WITHOUT_MEMORY or not any(found):
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

`ilr-check bench --markdown` writes this page; do not edit it. Every path runs in a process of its own,
and the processes are sampled in turn, in {bench.rounds} rounds. A time is a median. A ratio is the median
of the ratios of samples from the same round, so it does not matter if the machine is slow for a while.
The times are those of steps in the middle of a training, without drawing initial weights and without
compiling. All paths use float32, plain SGD with weight decay, and scikit-learn digits. Device:
{bench.device}. The fleet records every 32nd step. A run-step is one step of one run.

`docs/speed-limits.md` says what holds these numbers, and where the time of a run goes.

{machine}. {versions}.

{meanings}

Two rows bound the speed. `limit` is the speed of the library's batched products of these sizes, and
`product` is that of its fastest large product, which the small sizes of a step do not reach on every
processor.

The theoretical minimum of memory is the parameters, gradients, optimizer state and one batch of
activations (the input, the output of each layer, the logits) of all runs at once. The peak is the memory
of training every run, above the resident memory of a process that has compiled and trained before. A
fleet trains a chunk of runs at a time, and a loop trains one run, so both may stay below the minimum of
all runs."""


def _scaling(bench: Bench) -> str:
    lines = [["path", "against", "points", "us per run-step", "exponent", "95 % interval"]]
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

The cost of a run-step is fitted to the power `exponent` of one quantity, while the others are as in the
reference workload with 64 runs. A wide interval means that the points do not follow a power law: the
overhead of calls limits small nets, and arithmetic limits large ones.

{_table(lines)}"""


def _ratio(slow: Row | None, fast: Row | None) -> str:
    return "" if slow is None or fast is None else _number(ratio(slow.samples, fast.samples))


def _peak(row: Row) -> str:
    """Return the peak, or "" if fewer runs than the column says were in memory. A loop never has more than
    one."""
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
