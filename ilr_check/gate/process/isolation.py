"""The gate with the target in a process of its own, with a time limit a law and a memory limit.

A hang, a crash, ``os._exit`` or a memory blow-up ends that process, becomes a finding, and the judgement goes
on with the next law in a new process.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import re
import secrets
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

from ilr_check.evidence import Measured
from ilr_check.evidence.gate import Finding, Location
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.process import tree
from ilr_check.gate.process.channel import ForgedError, Listener
from ilr_check.gate.process.clock import Clock
from ilr_check.gate.process.noting import noted, text_of
from ilr_check.gate.process.request import (
    Begun,
    Done,
    Event,
    Exited,
    Fingerprinted,
    GateRequest,
    Judged,
    Order,
    Recorded,
    Refused,
    Started,
)
from ilr_check.gate.recorded import Behaviour

SURVIVES = text_of(
    "survives-its-steps",
    "Every step returns",
    "Building, stepping, saving and loading the optimizer ends no process and needs no patience: "
    "no crash, no exit, no hang, no memory without bound.",
    source="torch.optim: step returns, or raises an exception",
    meaning="A training run with this optimizer dies or stands still.",
)
TIME_LIMITS = {"quick": 60.0, "standard": 600.0}
"""Seconds of work that one law may take (see ``clock``), far beyond what any needs."""
MAX_DEATHS = 2
"""After this many the other laws are not tried: an optimizer that always dies would take hours."""
MAX_PROCESSES = 256
"""A target may have so many processes at once. A compiler's workers are at most a few dozen. A target that
forks at every step would otherwise fill the machine until its time is over."""
KEPT_OUTPUT = 64 * 1024
POLL_SECONDS = 0.1
BOOT_PATIENCE = 60.0
"""Seconds that the work before the first law has at least: most of it is torch's and ours."""
LEAVING_PATIENCE = 2.0
"""Seconds for a supervisor to leave by itself, which takes hundredths; one that was stopped cannot."""
CLOSED_PATIENCE = 10.0
"""Seconds until a process that closed its channel counts as ended."""
ROOT = Path(__file__).parents[3]
"""The folder that this package is imported from; the keeper's process finds it there, too."""
BOOT = "import sys; sys.path.append(sys.argv[1]); from ilr_check.gate.process.keeper import main; main()"
"""Not ``-m``: a file called random.py in the working folder must not be what Python imports."""
SYSTEM_EXITS = "the process ended with exit code {}, as os._exit({}) does"


class TargetRefusedError(ValueError):
    """The worker cannot do what was asked; one line, with its traceback in ``trace``."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


@dataclass
class Outcome:
    """Everything that the processes reported."""

    begun: Begun | None = None
    findings: list[Finding] = field(default_factory=list)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    traces: dict[str, list[list[float | None]]] = field(default_factory=dict)
    behaviour: Behaviour = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    """Ids of laws that were judged to the end."""
    printed: str = ""
    """The end of the target's output."""
    deaths: list[Finding] = field(default_factory=list)


def judge_isolated(
    request: GateRequest, *, listener: Callable[[Event], None] = lambda event: None
) -> Outcome:
    """Judge a target in processes of its own; raises ``TargetRefusedError`` where it cannot be loaded.

    An interruption of this process (Ctrl-C) ends the other one too.
    """
    options = request.options
    limit = options.time_limit or TIME_LIMITS[options.profile]
    outcome = Outcome()
    done: list[str] = []
    while True:
        order = Order(
            request=_narrowed(request, outcome.begun),
            done=tuple(done),
            path=(str(Path.cwd()), *(p for p in sys.path if p and p != str(Path.cwd()))),
            key=secrets.token_hex(16),
            patience=max(0.5, 0.9 * limit),
        )
        with _Worker(order, limit, options.memory_limit) as worker:
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
        more = {"reference": bool(options.reference), "behaviour": request.records}
        left = {*names, "fingerprint", *(name for name, wanted in more.items() if wanted)} - set(done)
        if len(outcome.deaths) >= MAX_DEATHS or not left:
            break
    outcome.findings += outcome.deaths or [_survived(request, outcome)]
    return outcome


def _narrowed(request: GateRequest, begun: Begun | None) -> GateRequest:
    """Return the contract that the first process found, so that the second does not search again."""
    if begun is None or not begun.contract:
        return request
    options = request.options
    if ":" in str(options.contract):  # one from outside the package has no name that finds it
        return request
    return msgspec.structs.replace(request, options=msgspec.structs.replace(options, contract=begun.contract))


class _Worker:
    """One process below its keeper, its events, and the limits for it and its children."""

    def __init__(self, order: Order, limit: float, memory_limit_mib: float) -> None:
        self.order, self.limit, self.memory_limit_mib = order, limit, memory_limit_mib
        self.current = "import"
        self.printed = ""
        self._tag = secrets.token_hex(16)
        self._listener = Listener(order.key)

    def __enter__(self) -> _Worker:
        self._said, channel = os.pipe()
        self._lifeline: int | None
        lifeline, self._lifeline = os.pipe()
        self._status, status = os.pipe()
        given = (channel, lifeline, status)
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, str(ROOT), *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=given,
            env=os.environ | {"PYTHONUNBUFFERED": "1", tree.TAG: self._tag},
            start_new_session=True,  # Ctrl-C reaches us alone, and we end it with all its children
        )
        for descriptor in given:
            os.close(descriptor)
        assert self._keeper.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died already; following it says how
            self._keeper.stdin.write(pickle.dumps(self.order))
            self._keeper.stdin.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        assert self._keeper.stdout is not None
        self._keeper.stdout.close()
        for descriptor in (self._said, self._status):
            os.close(descriptor)

    def follow(self, outcome: Outcome, done: list[str], listener: Callable[[Event], None]) -> Finding | None:
        """Read its events until it is done; add a finding where it dies or is stopped."""
        deadline, closed = time.monotonic() + self._allowed(outcome), False
        clock: Clock | None = None
        assert self._keeper.stdout is not None
        with selectors.DefaultSelector() as selector:
            for source in (self._said, self._status, self._keeper.stdout):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(POLL_SECONDS):
                    # The end is read last: what was said before it is in the channel already.
                    ended = os.read(self._status, 100) if key.fd == self._status else None
                    block = self._rest_of_channel() if ended is not None else os.read(key.fd, 1 << 16)
                    if key.fd == self._keeper.stdout.fileno():
                        self._keep(block)
                        if not block:
                            selector.unregister(key.fileobj)
                        continue
                    if key.fd == self._said and not block:
                        selector.unregister(key.fileobj)
                        deadline, closed = time.monotonic() + CLOSED_PATIENCE, True
                    try:
                        events = self._listener.hear(block)
                    except ForgedError as error:
                        return self._forged(error)
                    for event in events:
                        listener(event)
                        if isinstance(event, Started):
                            self.current, deadline = event.id, math.inf
                            clock = Clock(self._keeper.pid)
                        elif isinstance(event, Refused):
                            raise TargetRefusedError(event.message, event.trace)
                        elif isinstance(event, Done):
                            return self._left_out(outcome, done)
                        elif isinstance(event, Exited):
                            return self._exited(event)
                        else:
                            _take(outcome, event, done)
                    if ended is not None:
                        return self._death(ended)
                if closed and time.monotonic() > deadline:
                    return self._closed()
                allowed = self._allowed(outcome)
                if time.monotonic() > deadline or (clock is not None and clock.spent() > allowed):
                    return self._stopped_late(allowed)
                alive = tree.below(self._keeper.pid)
                if len(alive) > MAX_PROCESSES:
                    return self._stopped_many(len(alive))
                used = tree.memory_mib(alive, self.memory_limit_mib)
                if used > self.memory_limit_mib:
                    return self._stopped_full(used)

    def _allowed(self, outcome: Outcome) -> float:
        return self.limit if outcome.begun else max(self.limit, BOOT_PATIENCE)

    def _rest_of_channel(self) -> bytes:
        """Return what is in the channel now; a child of the worker may hold it open for ever."""
        os.set_blocking(self._said, False)
        found = b""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self._said, 1 << 16):
                found += block
        return found

    def _keep(self, block: bytes) -> None:
        self.printed = (self.printed + block.decode("utf-8", "replace"))[-KEPT_OUTPUT:]

    def _kill(self) -> None:
        """End the process and whatever it started; nothing of it outlives the gate."""
        tree.end_below(self._keeper.pid)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        try:
            self._keeper.wait(LEAVING_PATIENCE)  # it collects the orphans that it adopted, and ends
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, signal.SIGKILL)
        tree.end_tagged(self._tag)
        self._keeper.wait()

    def _drain(self) -> None:
        assert self._keeper.stdout is not None
        os.set_blocking(self._keeper.stdout.fileno(), False)
        while block := self._keeper.stdout.read(1 << 16):
            self._keep(block)

    def _death(self, ended: bytes) -> Finding:
        self._drain()
        if not ended:
            told = "the process that supervises it was killed"
            return self._finding(told, "violated", Measured(value=None))
        code = int(ended)
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return self._finding(
                f"the process was killed by {name}", "violated", Measured(value=float(-code))
            )
        told = SYSTEM_EXITS.format(code, code)
        return self._finding(told, "violated", Measured(value=float(code)))

    def _closed(self) -> Finding:
        return self._finding("closed the gate's channel", "violated", Measured(value=None))

    def _forged(self, error: ForgedError) -> Finding:
        told = f"it wrote {error} into a file descriptor that it did not open, the channel of the gate"
        return self._finding(told, "violated", Measured(value=None))

    def _left_out(self, outcome: Outcome, done: list[str]) -> Finding | None:
        """Add a finding where a worker says that it is done but has not judged all planned laws."""
        planned = () if outcome.begun is None else outcome.begun.laws
        missing = [text.id for text in planned if text.id not in done]
        if outcome.begun is not None and not missing:
            return None
        told = f"the process ended its work without judging {', '.join(missing) or 'anything'}"
        return self._finding(told, "violated", Measured(value=None))

    def _exited(self, event: Exited) -> Finding:
        told = f"it calls sys.exit({event.code})"
        return self._finding(
            told, "violated", Measured(value=None), place=(Location(event.file, event.line), event.function)
        )

    def _stopped_late(self, allowed: float) -> Finding:
        self._drain()
        self._kill()
        told = f"it did not return within {allowed:g} s of work and was stopped; --time-limit allows more"
        return self._finding(told, "error", Measured(value=allowed), "seconds without an answer")

    def _stopped_full(self, used: float) -> Finding:
        self._kill()
        limit = f"--memory-limit {self.memory_limit_mib:g}"
        told = f"it used {used:.0f} MiB of memory and was stopped at {limit} MiB"
        return self._finding(told, "violated", Measured(value=used), "MiB of memory")

    def _stopped_many(self, count: int) -> Finding:
        self._kill()
        told = f"it started {count} processes that did not end, and was stopped; {MAX_PROCESSES} are allowed"
        return self._finding(told, "violated", Measured(value=float(count)), "processes at once")

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
        outcome.finished.append(event.id)
        done.append(event.id)
    elif isinstance(event, Fingerprinted):
        outcome.fingerprint, outcome.traces = event.fingerprint, event.traces
    elif isinstance(event, Recorded):
        outcome.behaviour = event.behaviour


def last_frame(text: str) -> tuple[Location, str] | None:
    """Return the innermost Python frame outside torch that faulthandler wrote, and its function."""
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
