"""Where docs/reliability.md promises determinism, two runs agree in every bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ilr_check.evidence import RunFolder

COMMAND = Path(__file__).parents[1] / "soak" / "verify_small.py"
EXACT, TRAINED = "exponential-lr", "soak-decay"
Verify = Callable[..., list[bytes]]


@pytest.fixture(scope="module")
def verify(tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Run the command in a process; its records without their seconds, and its figures, as bytes."""

    def run(*words: str, place: str = "", **environment: str) -> list[bytes]:
        folder = tmp_path_factory.mktemp("bits")
        (folder / place).mkdir(exist_ok=True)
        done = subprocess.run(
            [
                sys.executable,
                str(COMMAND),
                "verify",
                "--claims",
                f"{EXACT},{TRAINED}",
                "--out",
                "run",
                *words,
            ],
            cwd=folder / place,
            env=os.environ | {"ILR_CHECK_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        path = folder / place / "run"
        found = RunFolder.open(path).records()
        kept = [msgspec.json.encode(msgspec.structs.replace(record, seconds=0.0)) for record in found]
        return kept + [figure.read_bytes() for figure in sorted((path / "traces").glob("*.npz"))]

    return run


@pytest.fixture(scope="module")
def usual(verify: Verify) -> list[bytes]:
    return verify()


def test_workers_and_surroundings_change_no_bit(verify: Verify, usual: list[bytes]) -> None:
    odd = {"PYTHONHASHSEED": "4711", "LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati", "LANG": "de_DE"}
    assert verify("--jobs", "2", place="somewhere with blanks and ü", **odd) == usual


@pytest.mark.nightly
def test_two_threads_change_no_bit_of_an_exact_claim(verify: Verify, usual: list[bytes]) -> None:
    def exact(found: list[bytes]) -> list[bytes]:
        return [record for record in found if f'"claim":"{EXACT}"'.encode() in record]

    assert exact(usual)
    assert exact(verify(ILR_CHECK_THREADS="2")) == exact(usual)


@pytest.mark.nightly
def test_another_seed_changes_bits(verify: Verify, usual: list[bytes]) -> None:
    assert verify("--seed", "1") != usual
