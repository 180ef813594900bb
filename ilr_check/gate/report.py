"""Judge by the command: the target runs in its own process. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable

from ilr_check.evidence.gate import GateReport
from ilr_check.gate.baseline import read_baseline
from ilr_check.gate.conclusion import OWN_LAWS, Judged, conclude, replay_line
from ilr_check.gate.expected_failures import demand_known, read_expected
from ilr_check.gate.process.isolation import Outcome, judge_isolated
from ilr_check.gate.process.request import Begun, Event, GateRequest


def gate_report(
    request: GateRequest,
    *,
    command: str = "",
    force: bool = False,
    listener: Callable[[Event], None] = lambda event: None,
) -> GateReport:
    """Judge a target as the command does; raises ``ValueError`` for what cannot be used.

    ``force`` lets the baseline replace a file that is none.
    """
    began = time.perf_counter()
    expected = read_expected(request.options.expected_failures)
    if request.options.baseline is not None:
        # A damaged file is refused before the target is judged.
        read_baseline(request.options.baseline, renewed=request.options.update_baseline)

    def checked(event: Event) -> None:
        if isinstance(event, Begun):
            demand_known(expected, {*event.known, *(text.id for text in OWN_LAWS)})
        listener(event)

    outcome = judge_isolated(request, listener=checked)
    return conclude(
        request,
        _judged(outcome),
        expected,
        seconds=time.perf_counter() - began,
        command=command,
        force=force,
        replay=replay_line,
    )


def _judged(outcome: Outcome) -> Judged:
    begun = outcome.begun
    return Judged(
        contract="" if begun is None else begun.contract,
        note="" if begun is None else begun.note,
        laws=() if begun is None else begun.laws,
        finished=tuple(outcome.finished),
        findings=outcome.findings,
        traces=outcome.traces,
        behaviour=outcome.behaviour,
        fingerprint=outcome.fingerprint,
        location=None if begun is None else begun.location,
        survived=not outcome.deaths,
        notices=[*(() if begun is None else begun.notices), *_printed(outcome)],
    )


def _printed(outcome: Outcome) -> list[str]:
    lines = outcome.printed.splitlines()
    if not lines or outcome.deaths:
        return []
    return [
        f"the target's own output was kept apart: {len(lines)} lines, the last of them {lines[-1][:120]!r}"
    ]
