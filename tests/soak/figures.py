"""Run parts of the soak, keep their figures in docs/reliability.json, and write the table of the page.

``python tests/soak/figures.py --write`` runs every part in full. ``--part NAME --times N`` runs one part, in
another size. ``--page`` only writes the table from the kept figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def run(name: str, times: int | None, seed: int) -> dict[str, object]:
    """Run one part and return its figures."""
    import torch
    from counts import Count
    from parts import PARTS

    # Processes are forked from this one, which must have no threads of torch.
    torch.set_num_threads(1)
    os.environ["ILR_CHECK_THREADS"] = "1"
    part = PARTS[name]
    count, began = Count(part.what), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        part.soak(count, Path(folder), times or part.times, seed)
    return {
        "what": part.what,
        "full": part.times,
        "times": times or part.times,
        "tried": count.tried,
        "failures": count.failures,
        "seen": dict(sorted(count.seen.items())),
        "skipped": count.skipped,
        "seconds": round(time.monotonic() - began),
        "seed": seed,
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def table(kept: dict[str, dict[str, object]]) -> str:
    """The figures as Markdown."""
    lines = [
        "| part | what | tried | went wrong | outcomes | date |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, figures in kept.items():
        seen = ", ".join(f"{outcome}: {times}" for outcome, times in dict(figures["seen"]).items())  # type: ignore[call-overload]
        part = f"`{name}`" + (
            "" if figures["times"] == figures["full"] else f" ({figures['times']} of {figures['full']})"
        )
        wrong = figures["skipped"] or len(figures["failures"])  # type: ignore[arg-type]
        lines.append(
            f"| {part} | {figures['what']} | {figures['tried']} | {wrong} | {seen} | {figures['date']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", help="run this part only; may be repeated")
    parser.add_argument("--times", type=int, help="in another size than the full one")
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--write", action="store_true", help="run every part")
    parser.add_argument("--page", action="store_true", help="only write the table")
    asked = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from parts import PARTS

    figures = DOCS / "reliability.json"
    for name in asked.part or (list(PARTS) if asked.write else []):
        found = run(name, asked.times, asked.seed)
        kept = json.loads(figures.read_text("utf-8")) if figures.exists() else {}
        kept[name] = found
        text = json.dumps({part: kept[part] for part in PARTS if part in kept}, indent=1)
        figures.write_text(text + "\n", "utf-8")
        print(name, "tried", found["tried"], "went wrong", found["failures"], flush=True)
    page = DOCS / "reliability.md"
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + table(json.loads(figures.read_text("utf-8"))) + END + after, "utf-8")


if __name__ == "__main__":
    main()
