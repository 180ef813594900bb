"""The gate survives everything that a target does to its process. It reports it, and no process is left."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ilr_check import check_optimizer
from ilr_check.evidence import Finding
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process import isolation
from ilr_check.gate.process.isolation import TargetRefusedError, judge_isolated, last_frame
from ilr_check.gate.process.request import GateRequest

FILE = Path(__file__).parent / "hostile_optimizers.py"
ALONE = "leaves-the-world-alone"
ON_LINUX = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="only Linux tells which processes a target started"
)


def judged(name: str, claims: str = "", time_limit: float = 30.0) -> list[Finding]:
    """Return the findings of an isolated judgement. Without ``claims`` it measures only the fingerprint."""
    options = GateOptions(contract="sgd", laws=claims or "all", time_limit=time_limit, memory_limit=1500.0)
    request = GateRequest(target=f"{FILE}:{name}", options=options, only_fingerprint=not claims)
    return judge_isolated(request).findings


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Crashes", "the process was killed by SIGSEGV, in misbehave at"),
        ("Leaves", "the process ended with exit code 0, as os._exit(0) does"),
        pytest.param(
            "Swells", "MiB of memory and was stopped at --memory-limit 1500 MiB", marks=pytest.mark.nightly
        ),
        pytest.param("ClosesChannel", "the process ended with exit code 1", marks=pytest.mark.nightly),
    ],
)
def test_what_ends_the_process_is_a_finding(name: str, words: str) -> None:
    (death,) = [finding for finding in judged(name) if finding.claim == "survives-its-steps"][:1]
    assert death.verdict == "violated"
    assert words in death.diagnosis


def test_a_hang_is_stopped_and_the_line_is_named() -> None:
    found = judged("Hangs", "textbook-step", time_limit=4.0)
    death = next(finding for finding in found if finding.claim == "survives-its-steps")
    assert death.verdict == "error"  # slow and stuck cannot be told apart
    assert "did not return within 4 s of work" in death.diagnosis
    assert death.location is not None
    assert Path(death.location.file).name == FILE.name
    law = next(finding for finding in found if finding.claim == "textbook-step")
    assert (law.verdict, law.diagnosis[:10]) == ("error", "not judged")


def test_sys_exit_is_a_finding_of_its_law() -> None:
    finding = next(f for f in judged("Exits", "textbook-step") if f.verdict == "violated")
    assert "sys.exit(3)" in finding.diagnosis


def test_output_is_kept_apart_and_cannot_forge_the_channel() -> None:
    found = judged("Prints", ALONE)
    assert {f.claim for f in found} == {ALONE, "survives-its-steps"}
    printed = next(f for f in found if f.group == "standard output")
    assert (printed.verdict, printed.diagnosis) == (
        "violated",
        "step() prints to standard output, such as '::error::forged'",
    )


@pytest.fixture(scope="module")
def hostile() -> dict[str, type[torch.optim.Optimizer]]:
    """The same classes in this process."""
    names: dict[str, object] = {"__name__": "hostile"}
    exec(compile(FILE.read_text("utf-8"), str(FILE), "exec"), names)
    return {name: value for name, value in names.items() if isinstance(value, type)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SetsDtype", "step() changes the default dtype from torch.float32 to torch.float16"),
        ("Seeds", "step() changes the seed of torch's generator from what it was to 0"),
        ("TurnsGradOff", "step() changes the grad mode from True to False"),
        ("SetsThreads", "step() changes the thread count from"),
        ("IsDeterministic", "step() changes the deterministic flag from (False, False) to (True, False)"),
        ("KeepsThread", "leaves the thread 'left behind' running"),
    ],
)
def test_global_state_is_found_and_put_back_in_this_process(hostile, name: str, words: str) -> None:  # type: ignore[no-untyped-def]
    def world() -> tuple[object, ...]:
        return (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_rng_state().sum().item(),
        )

    torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])  # from now on torch hooks the parent's step too
    torch.manual_seed(0)  # the seed that a target sets may be the seed already
    before = world()
    result = check_optimizer(hostile[name], contract="sgd", claims=f"{ALONE},decay-coupling")
    assert world() == before
    told = {finding.claim: finding for finding in result.violated}
    assert set(told) == {ALONE}
    assert words in told[ALONE].diagnosis


def test_a_change_beside_another_law_is_a_finding_too(hostile) -> None:  # type: ignore[no-untyped-def]
    result = check_optimizer(hostile["Seeds"], contract="sgd", claims="decay-coupling")
    (finding,) = result.violated
    assert (finding.claim, finding.group) == (ALONE, "during decay-coupling")


@pytest.fixture
def survivors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a target's processes write their numbers."""
    path = tmp_path / "survivors"
    monkeypatch.setenv("SURVIVORS", str(path))
    return path


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs Linux, where a tree of processes can be found"
)
@pytest.mark.parametrize(
    "name",
    [
        "DoubleForks",
        "HidesItsEnvironment",
        "KillsItsSupervisor",
        pytest.param("StopsItsSupervisor", marks=pytest.mark.nightly),
        "LeavesItsPipesToAChild",
    ],
)
def test_nothing_that_a_target_starts_outlives_the_gate(survivors: Path, name: str) -> None:
    judged(name, time_limit=20.0)
    started = [int(line) for line in survivors.read_text().split()]
    assert started
    assert [pid for pid in started if _alive(pid)] == []


@ON_LINUX
def test_a_target_that_forks_at_every_step_is_stopped(
    survivors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "MAX_PROCESSES", 16)
    death = next(f for f in judged("ForksManyTimes") if f.claim == "survives-its-steps")
    assert death.verdict == "violated"
    assert "processes that did not end, and was stopped; 16 are allowed" in death.diagnosis
    assert [line for line in survivors.read_text().split() if _alive(int(line))] == []


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs Linux, where a tree of processes can be found"
)
def test_nothing_outlives_a_gate_that_is_killed(survivors: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ilr_check", "fingerprint", "slow.py:Opt"]
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n"
        f"open({str(survivors)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(300)\n"
    )
    gate = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait(lambda: survivors.exists() and survivors.read_text().count("\n") == 2)
    gate.kill()
    gate.wait()
    _wait(lambda: not any(_alive(int(line)) for line in survivors.read_text().split()))


@pytest.mark.usefixtures("survivors")
def test_a_process_that_ends_while_its_child_holds_the_pipes_has_ended() -> None:
    (death, *_) = [f for f in judged("LeavesItsPipesToAChild") if f.claim == "survives-its-steps"]
    assert "the process ended with exit code 0" in death.diagnosis


@pytest.mark.usefixtures("survivors")
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="needs Linux, which tells the memory of a process"
)
def test_the_memory_limit_holds_for_the_tree() -> None:
    (death, *_) = [f for f in judged("SwellsInChildren") if f.claim == "survives-its-steps"]
    assert "MiB of memory and was stopped at --memory-limit 1500 MiB" in death.diagnosis


@pytest.mark.parametrize("name", ["SaysItIsDone", "SaysThatALawHolds"])
def test_a_target_cannot_speak_for_the_worker(name: str) -> None:
    found = judged(name, "descent")
    death = next(f for f in found if f.claim == "survives-its-steps")
    assert (death.verdict, "a file descriptor that it did not open" in death.diagnosis) == ("violated", True)
    assert "holds" not in {f.verdict for f in found}


def test_an_optimizer_that_behaves_survives() -> None:
    assert {f.verdict for f in judged("Plain", ALONE)} == {"holds"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit(4)", "sys.exit(4)"),
        ("raise OSError('no such thing')", "raised OSError: no such thing; fix the file"),
        ("import os; os._exit(5)", "exit code 5"),
    ],
)
def test_a_target_that_cannot_be_imported_is_refused(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises((TargetRefusedError, ValueError), match=r"bad\.py") as caught:
        judge_isolated(
            GateRequest(
                target=f"{tmp_path / 'bad.py'}:Opt", options=GateOptions(contract="sgd", laws="descent")
            )
        )
    assert words in str(caught.value)


def test_ctrl_c_ends_the_target_too(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    (tmp_path / "slow.py").write_text(
        "import os, time, pathlib\n"
        f"pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "ilr_check", "gate", "slow.py:Opt"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _wait(lambda: marker.exists() and marker.read_text() != "")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err
    _wait(lambda: not _alive(int(marker.read_text())))


def test_the_innermost_frame_outside_torch_is_found() -> None:
    dump = (
        "Thread 0x1 (most recent call first):\n"
        '  File "/x/torch/optim/sgd.py", line 9 in step\n'
        '  File "/home/me/my opt.py", line 12 in step\n'
        '  File "/x/ilr_check/gate/subject.py", line 3 in step\n'
    )
    found = last_frame(dump)
    assert found is not None
    assert (found[0].file, found[0].line, found[1]) == ("/home/me/my opt.py", 12, "step")
    assert last_frame("nothing") is None


def _alive(pid: int) -> bool:
    """Whether a process runs; one that was killed and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait(ready, seconds: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)
