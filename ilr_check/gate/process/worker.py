"""The process in which the target runs; its order comes on standard input.

What it finds goes to a descriptor of its own, one line of JSON an event, away from what the target prints.
"""

from __future__ import annotations

import faulthandler
import math
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from ilr_check.gate.process.channel import Speaker
from ilr_check.gate.process.request import (
    Begun,
    Done,
    Event,
    Exited,
    Fingerprinted,
    Judged,
    Order,
    Recorded,
    Refused,
    Started,
)
from ilr_check.gate.words.exceptions import encodable, exception_words


def main() -> None:
    """Read the order, do it, and leave without waiting for threads that the target may have left behind."""
    faulthandler.enable()
    order: Order = pickle.loads(sys.stdin.buffer.read())
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
        told = exception_words(error)
        if isinstance(error, ValueError):  # a sentence for the user, which needs no class in front
            told = told.partition(": ")[2] or told
        tell(Refused(message=told, trace=encodable(traceback.format_exc())))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def work(order: Order, on_start: Callable[[Event], None]) -> Iterator[Event]:
    """Judge what is not done yet; a crash loses the law in flight and nothing else."""
    from ilr_check.gate.check import refusals, same_steps
    from ilr_check.gate.judge import Judge
    from ilr_check.gate.laws import gate_laws, planned
    from ilr_check.gate.measurement import measure
    from ilr_check.gate.serving import service_of
    from ilr_check.gate.stimuli.behaviour import behaviour
    from ilr_check.gate.stimuli.scenarios import traces
    from ilr_check.gate.subjects import subject_of
    from ilr_check.optim.target import import_target
    from ilr_check.train.threads import threads

    request = order.request
    options = request.options
    sys.path[:] = [*order.path]
    _expect(order, on_start, "import")
    factory = import_target(request.target)
    # After the import, for the target's module may register laws and contracts of its own.
    laws = () if request.only_fingerprint else planned(options.laws, options.profile)
    _expect(order, on_start, "the search for its family")
    subject, note = subject_of(factory, msgspec.structs.replace(options, name=request.target))
    judge = Judge(subject, options)
    yield Begun(
        contract="" if subject.contract is None else subject.contract.name,
        note=note,
        laws=tuple(law.text for law in laws),
        location=judge.location,
        known=tuple(gate_laws()),
        notices=tuple(refusals(subject)),
    )
    left = [law for law in laws if law.id not in order.done]
    expected = [law.id for law in left]
    for judgement in judge.judge(left, begin=lambda law: _expect(order, on_start, law.id)):
        # The last one is about what the target changed beside the laws, and ends no law.
        name = judgement.law.id if expected and judgement.law.id == expected[0] else ""
        expected = expected[1:] if name else expected
        yield Judged(id=name, findings=judgement.findings)
    if options.reference and "reference" not in order.done:
        _expect(order, on_start, "reference")
        yield Judged(id="reference", findings=tuple(same_steps(subject, request, judge.location)))
    if "fingerprint" not in order.done:
        _expect(order, on_start, "fingerprint")
        with threads(), judge.watch.during("fingerprint", service_of(subject)):
            yield Fingerprinted(
                fingerprint=msgspec.to_builtins(measure(subject)), traces=finite(traces(subject))
            )
    if request.records and "behaviour" not in order.done:
        _expect(order, on_start, "behaviour")
        with threads(), judge.watch.during("behaviour", service_of(subject)):
            yield Recorded(behaviour=behaviour(subject))
    faulthandler.cancel_dump_traceback_later()


def finite(recorded: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[list[float | None]]]:
    """Return the traces with ``None`` for numbers that are not finite, which JSON cannot hold."""
    return {
        name: [[value if math.isfinite(value) else None for value in row] for row in rows]
        for name, rows in recorded.items()
    }


def _expect(order: Order, on_start: Callable[[Event], None], label: str) -> None:
    """Say what begins; if it takes too long, its frames are written to what the target prints."""
    on_start(Started(id=label))
    faulthandler.dump_traceback_later(order.patience, repeat=True, exit=False)
