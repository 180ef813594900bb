"""The process in which the target runs; its order comes on standard input.

What it finds goes to a descriptor of its own, one line of JSON an event, away from what the target prints.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from collections.abc import Callable, Iterator

import msgspec

from ilr_check.evidence.gate import Finding
from ilr_check.gate.process.channel import Speaker
from ilr_check.gate.process.request import (
    Begun,
    Done,
    Event,
    Exited,
    Fingerprinted,
    Judged,
    Order,
    Refused,
    Started,
)


def main() -> None:
    """Read the order, do it, and leave without waiting for threads that the target may have left behind."""
    faulthandler.enable()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    tell = Speaker(int(sys.argv[-1]), order.key).tell
    order = msgspec.structs.replace(order, key="")
    try:
        for event in work(order, on_start=tell):
            tell(event)
        tell(Done())
    except SystemExit as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        tell(Exited(code=repr(error.code), file=last.filename, line=last.lineno or 1, function=last.name))
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        tell(Refused(message=message, trace=traceback.format_exc()))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def work(order: Order, on_start: Callable[[Event], None]) -> Iterator[Event]:
    """Judge what is not done yet; a crash loses the law in flight and nothing else."""
    from ilr_check.gate import judge
    from ilr_check.gate.laws import gate_laws
    from ilr_check.gate.measurement import measure
    from ilr_check.gate.process.asking import contract_of, reference_findings, subject_from
    from ilr_check.gate.process.surroundings import Watch
    from ilr_check.gate.stimuli.scenarios import traces
    from ilr_check.gate.words.location import step_location
    from ilr_check.optim.target import import_target
    from ilr_check.train.threads import threads

    request = order.request
    sys.path[:] = [*order.path]
    laws = () if request.only_fingerprint else judge.planned(request.claims, request.profile)
    _expect(order, on_start, "import")
    factory = import_target(request.target)
    _expect(order, on_start, "the search for its family")
    subject, note = subject_from(request, factory)
    location = step_location(subject)
    yield Begun(
        contract=contract_of(subject),
        note=note,
        laws=tuple(law.text for law in laws),
        location=location,
        known=tuple(gate_laws()),
    )
    watch = Watch()
    found: list[Finding] = []
    with threads():
        for law in laws:
            if law.id in order.done:
                continue
            _expect(order, on_start, law.id)
            with watch.during(law.id):
                findings, _ = judge.judge(
                    law, subject, seed=request.seed, profile=request.profile, location=location
                )
            found += findings
            yield Judged(id=law.id, findings=findings)
        yield Judged(
            id="", findings=judge.beside(watch, subject, found, seed=request.seed, location=location)
        )
        if request.reference and "reference" not in order.done:
            _expect(order, on_start, "reference")
            yield Judged(id="reference", findings=reference_findings(request, subject, location))
        if "fingerprint" not in order.done:
            _expect(order, on_start, "fingerprint")
            with watch.during("fingerprint"):
                yield Fingerprinted(fingerprint=msgspec.to_builtins(measure(subject)), traces=traces(subject))
    faulthandler.cancel_dump_traceback_later()


def _expect(order: Order, on_start: Callable[[Event], None], label: str) -> None:
    """Say what begins; if it takes too long, its frames are written to what the target prints."""
    on_start(Started(id=label))
    faulthandler.dump_traceback_later(order.patience, exit=False)
