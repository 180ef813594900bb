"""The parts of the soak, each with the count that the nightly run has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hostile
import inputs
import kills
import runs
import small_claims
import storage
from counts import Count


@dataclass(frozen=True)
class Part:
    """One part: ``soak(count, folder, times, seed)``."""

    what: str
    times: int
    soak: Callable[[Count, Path, int, int], None]


def _exact(count: Count, folder: Path, times: int, seed: int) -> None:
    kills.kill_and_resume(count, folder, kills.EXACT, times, seed)


def _statistical(count: Count, folder: Path, times: int, seed: int) -> None:
    kills.kill_and_resume(count, folder, kills.STATISTICAL, times, seed)


def _together(count: Count, folder: Path, times: int, seed: int) -> None:
    small_claims.register()
    runs.run_here(["verify", "--claims", small_claims.NAME, "--out", "warm"], folder)
    for number in range(times):
        for processes in (2, 10):
            for resumed in (False, True):
                place = folder / f"{number}-{processes}-{resumed}"
                place.mkdir()
                storage.run_together(count, place, processes, resumed)


def _small(count: Count, folder: Path, times: int, seed: int) -> None:
    small_claims.register()
    kills.kill_and_resume(count, folder, small_claims.NAME, times, seed)


PARTS = {
    "kills": Part("kills of runs that train six small fleets, then resumed and compared", 100, _small),
    "kills-exact": Part("kills of runs of shipped exact claims, then resumed and compared", 30, _exact),
    "kills-statistical": Part("kills of a shipped statistical claim, then resumed", 10, _statistical),
    "killed-workers": Part("runs with --jobs 2 that lost a worker", 10, kills.kill_workers),
    "full-disk": Part(
        "runs on a disk that was too small, resumed with more space", 15, storage.fill_the_disk
    ),
    "together": Part("processes started on one folder at once, two and ten at a time", 3, _together),
    "inputs": Part("generated inputs over all commands, settings files and variables", 2000, inputs.inputs),
    "hostile-targets": Part("judgements of targets that attack the process", 60, hostile.judge_hostile),
}
