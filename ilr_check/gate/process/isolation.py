"""The gate with the target in a process of its own, with a time limit a law and a memory limit.

A hang, a crash, ``os._exit`` or a memory blow-up ends that process, becomes a finding, and the judgement goes
on with the next law in a new process.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

import ilr_check
from ilr_check.evidence import Measured
from ilr_check.evidence.gate import Finding, Location
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.process.noting import noted, text_of
from ilr_check.gate.process.request import (
    EVENTS,
    Begun,
    Done,
    Event,
    Exited,
    Fingerprinted,
    GateRequest,
    Judged,
    Order,
    Refused,
    Started,
)

SURVIVES = text_of(
    "survives-its-steps",
    "Every step returns",
    "Building, stepping, saving and loading the optimizer ends no process and needs no patience: "
    "no crash, no exit, no hang, no memory without bound.",
    source="torch.optim: step returns, or raises an exception",
    meaning="A training run with this optimizer dies or stands still.",
)
TIME_LIMITS = {"quick": 60.0, "standard": 600.0}
"""Seconds that one law may take; far beyond what any needs, since a slow machine is no defect."""
MEMORY_LIMIT_MIB = 4096.0
MAX_DEATHS = 2
"""After so many the other laws are not tried: an optimizer that always dies would take hours."""
KEPT_OUTPUT = 64 * 1024
POLL_SECONDS = 0.1
BOOT = "import sys; sys.path.append(sys.argv[1]); from ilr_check.gate.process.worker import main; main()"
"""Not ``-m``: a file called random.py in the working folder must not be what torch imports."""
SYSTEM_EXITS = "the process ended with exit code {}, as os._exit({}) does"


class TargetRefusedError(ValueError):
    """The worker cannot do what was asked; one line, with its traceback in ``trace``."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


@dataclass
class Outcome:
    """All that the processes said, together."""

    begun: Begun | None = None
    findings: list[Finding] = field(default_factory=list)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    traces: dict[str, list[list[float]]] = field(default_factory=dict)
    printed: str = ""
    """The end of what the target printed."""
    deaths: list[Finding] = field(default_factory=list)


def judge_isolated(
    request: GateRequest,
    *,
    time_limit: float | None = None,
    memory_limit_mib: float = MEMORY_LIMIT_MIB,
    listener: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Judge a target in processes of its own; raises ``TargetRefusedError`` where it cannot be loaded.

    An interruption of this process (Ctrl-C) ends the other one too.
    """
    limit = TIME_LIMITS.get(request.profile, TIME_LIMITS["quick"]) if time_limit is None else time_limit
    outcome = Outcome()
    done: list[str] = []
    while True:
        order = Order(
            request=_narrowed(request, outcome.begun),
            done=tuple(done),
            path=(str(Path.cwd()), *(p for p in sys.path if p and p != str(Path.cwd()))),
            patience=max(0.5, 0.9 * limit),
        )
        with _Worker(order, limit, memory_limit_mib) as worker:
            end = worker.follow(outcome, done, listener)
            outcome.printed = (outcome.printed + worker.printed)[-KEPT_OUTPUT:]
        if end is None:
            break
        outcome.deaths.append(end)
        if outcome.begun is None:
            if worker.current == "import":
                raise TargetRefusedError(f"{request.target}: {end.diagnosis}")
            break  # it died while its family was looked for, and would do so again
        unjudged = [worker.current]
        if len(outcome.deaths) >= MAX_DEATHS:
            unjudged += [t.id for t in outcome.begun.laws if t.id not in {*done, worker.current}]
        names = {text.id for text in outcome.begun.laws}
        outcome.findings += [_unjudged(request, name, end) for name in unjudged if name in names]
        done += unjudged
        left = {*names, "fingerprint", *(["reference"] if request.reference else [])} - set(done)
        if len(outcome.deaths) >= MAX_DEATHS or not left:
            break
    outcome.findings += outcome.deaths or [_survived(request, outcome)]
    return outcome


def _narrowed(request: GateRequest, begun: Begun | None) -> GateRequest:
    """The contract that the first process found, so that the second needs not look for it again."""
    if begun is None or not begun.contract:
        return request
    return msgspec.structs.replace(request, contract=begun.contract)


class _Worker:
    """One process, what it says, and the limits under which it runs."""

    def __init__(self, order: Order, limit: float, memory_limit_mib: float) -> None:
        self.order, self.limit, self.memory_limit_mib = order, limit, memory_limit_mib
        self.current = "import"
        self.printed = ""
        self._rest = b""

    def __enter__(self) -> _Worker:
        self._said, writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, str(Path(ilr_check.__file__).parents[1]), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C reaches us alone, and we end it with all its children
        )
        os.close(writing)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died already; following it says how
            self._process.stdin.write(msgspec.json.encode(self.order))
            self._process.stdin.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        os.close(self._said)

    def follow(self, outcome: Outcome, done: list[str], listener: Callable[[Event], None]) -> Finding | None:
        """Take in what it says until it is done; a finding where it dies or is stopped."""
        deadline = time.monotonic() + self.limit
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._said, selectors.EVENT_READ)
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(POLL_SECONDS):
                    block = os.read(key.fd, 1 << 16)
                    if key.fd != self._said:
                        self._keep(block)
                        if not block:
                            selector.unregister(key.fileobj)
                        continue
                    if not block:
                        return self._death()
                    for event in self._events(block):
                        listener(event)
                        if isinstance(event, Started):
                            self.current, deadline = event.id, time.monotonic() + self.limit
                        elif isinstance(event, Refused):
                            raise TargetRefusedError(event.message, event.trace)
                        elif isinstance(event, Done):
                            return None
                        elif isinstance(event, Exited):
                            return self._exited(event)
                        else:
                            _take(outcome, event, done)
                if time.monotonic() > deadline:
                    return self._stopped_late()
                used = resident_mib(self._process.pid)
                if used > self.memory_limit_mib:
                    return self._stopped_full(used)

    def _events(self, block: bytes) -> list[Event]:
        *lines, self._rest = (self._rest + block).split(b"\n")
        try:
            return [EVENTS.decode(line) for line in lines]
        except msgspec.MsgspecError as error:
            raise TargetRefusedError(f"the target wrote into the gate's own channel ({error})") from error

    def _keep(self, block: bytes) -> None:
        self.printed = (self.printed + block.decode("utf-8", "replace"))[-KEPT_OUTPUT:]

    def _kill(self) -> None:
        """End the process and whatever it started; nothing of it outlives the gate."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._process.kill()
        self._process.wait()

    def _drain(self) -> None:
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        while block := self._process.stdout.read(1 << 16):
            self._keep(block)

    def _death(self) -> Finding:
        try:
            code = self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._kill()
            return self._finding("closed the gate's channel", "violated", Measured(value=None))
        self._drain()
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return self._finding(
                f"the process was killed by {name}", "violated", Measured(value=float(-code))
            )
        told = SYSTEM_EXITS.format(code, code)
        return self._finding(told, "violated", Measured(value=float(code)))

    def _exited(self, event: Exited) -> Finding:
        told = f"it calls sys.exit({event.code})"
        return self._finding(
            told, "violated", Measured(value=None), place=(Location(event.file, event.line), event.function)
        )

    def _stopped_late(self) -> Finding:
        self._drain()
        self._kill()
        told = f"it did not return within {self.limit:g} s and was stopped; --time-limit allows more"
        return self._finding(told, "error", Measured(value=self.limit), "seconds without an answer")

    def _stopped_full(self, used: float) -> Finding:
        self._kill()
        limit = f"--memory-limit {self.memory_limit_mib:g}"
        told = f"it used {used:.0f} MiB of memory and was stopped at {limit} MiB"
        return self._finding(told, "violated", Measured(value=used), "MiB of memory")

    def _finding(
        self,
        told: str,
        verdict: VerdictWord,
        measured: Measured,
        quantity: str = "",
        place: tuple[Location, str] | None = None,
    ) -> Finding:
        place = place or last_frame(self.printed)
        where = f", in {place[1]} at {place[0].file}:{place[0].line}" if place else ""
        return noted(
            self.order.request,
            SURVIVES.id,
            self.current,
            verdict,
            diagnosis=f"{told}{where}, during {self.current}",
            measured=measured,
            quantity=quantity or "exit code or signal",
            message="\n".join(filter(None, (told, self.printed.strip()[-2000:]))),
            location=place[0] if place else None,
        )


def _take(outcome: Outcome, event: Event, done: list[str]) -> None:
    if isinstance(event, Begun):
        outcome.begun = outcome.begun or event
    elif isinstance(event, Judged):
        outcome.findings += event.findings
        done.append(event.id)
    elif isinstance(event, Fingerprinted):
        outcome.fingerprint, outcome.traces = event.fingerprint, event.traces


def resident_mib(pid: int) -> float:
    """Memory that a process holds; 0 where the system does not say (then there is no memory limit)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def last_frame(text: str) -> tuple[Location, str] | None:
    """The innermost Python frame outside torch that faulthandler wrote, and its function."""
    _, _, dump = text.rpartition("most recent call first")
    frames = re.findall(r'^  File "(.+)", line (\d+) in (\S+)$', dump, re.MULTILINE)
    own = [frame for frame in frames if f"{os.sep}torch{os.sep}" not in frame[0]]
    if not own or f"{os.sep}ilr_check{os.sep}" in own[0][0]:
        return None
    file, line, name = own[0]
    return Location(file, int(line)), name


def _unjudged(request: GateRequest, law: str, end: Finding) -> Finding:
    told = f"not judged: see {SURVIVES.id} ({end.diagnosis})"
    return noted(request, law, "", "error", diagnosis=told)


def _survived(request: GateRequest, outcome: Outcome) -> Finding:
    laws = 0 if outcome.begun is None else len(outcome.begun.laws)
    return noted(request, SURVIVES.id, "all laws", "holds", message=f"every step of {laws} laws returned")
