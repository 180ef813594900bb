"""Measure the judge and write the table: ``python -m ilr_check.stats.calibration``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ilr_check.stats.calibration.catalogue import CORE, FULL
from ilr_check.stats.calibration.measure import Cell, failing, limited, tally
from ilr_check.stats.calibration.table import SUMMARY, write


def main() -> int:
    """Measure, write, and return 1 if any covered cell breaks its promise, else 0."""
    parser = argparse.ArgumentParser(prog="python -m ilr_check.stats.calibration", description=__doc__)
    parser.add_argument(
        "--replicates", type=int, default=200_000, metavar="N", help="per cell (default 200000)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--core", action="store_true", help="only what the tests measure")
    parser.add_argument("--docs", type=Path, default=Path("docs/calibration.md"), metavar="FILE")
    parser.add_argument("--figures", type=Path, default=SUMMARY, metavar="FILE", help="JSON for reports")
    options = parser.parse_args()
    cells: list[Cell] = []
    for study in CORE if options.core else FULL:
        start = time.perf_counter()
        cells += tally(study, study.replicates or options.replicates, options.seed)
        print(f"{time.perf_counter() - start:6.1f} s  {study.decision}: {study.situation}", file=sys.stderr)
    cells = limited(cells)
    write(cells, replicates=options.replicates, seed=options.seed, docs=options.docs, figures=options.figures)
    broken = failing(cells)
    for cell in broken:
        print(
            f"{cell.decision}, {cell.situation}: {cell.what} at {cell.at:g} promised {cell.promised:g}, "
            f"measured {cell.measured:g}"
        )
    print(f"{len(cells)} cells, {len(broken)} break their promise; {options.docs}, {options.figures}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
