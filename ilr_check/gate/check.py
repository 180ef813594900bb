"""``check_optimizer`` judges an optimizer in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ilr_check.evidence import Figure
from ilr_check.evidence.gate import Finding, Location
from ilr_check.gate.conclusion import OWN_LAWS, Judged, conclude
from ilr_check.gate.expected_failures import demand_known, read_expected
from ilr_check.gate.judge import Judge
from ilr_check.gate.laws import gate_laws, planned
from ilr_check.gate.options import GateOptions, takes_options
from ilr_check.gate.process.request import GateRequest
from ilr_check.gate.recorded import Behaviour
from ilr_check.gate.reference.same_steps import REFERENCE, apart
from ilr_check.gate.result import GateResult
from ilr_check.gate.serving import service_of
from ilr_check.gate.stimuli.behaviour import behaviour
from ilr_check.gate.stimuli.scenarios import traces
from ilr_check.gate.subject import Subject
from ilr_check.gate.subjects import subject_of
from ilr_check.train.threads import threads


@takes_options
def check_optimizer(factory: Callable[..., Any], **options: Any) -> GateResult:
    """Judge an optimizer class or factory by what its family promises.

    Every option of ``ilr-check gate`` is taken, by the names of ``ilr_check.gate.options.GateOptions``:
    ``laws`` (or ``claims``) are law ids or tiers, separated by commas; ``args`` are constructor arguments;
    ``declare`` states intended variations; ``names`` maps our words to the target's; ``impl`` are
    implementation switches; ``reference`` is another optimizer, whose steps are compared.
    Raises ``ValueError`` for a value out of range, ``TypeError`` for an option that does not exist, and
    ``SubjectError`` for a target that cannot be built.
    """
    began = time.perf_counter()
    given = GateOptions.of(options)
    laws = planned(given.laws, given.profile)
    expected = read_expected(given.expected_failures)
    demand_known(expected, {*gate_laws(), *(text.id for text in OWN_LAWS)})
    subject, note = subject_of(factory, given)
    request = GateRequest(target=subject.title, options=given)
    judge = Judge(subject, given)
    findings: list[Finding] = []
    figures: dict[str, Figure] = {}
    for judgement in judge.judge(laws):
        findings += judgement.findings
        figures.update(judgement.figures)
    if given.reference:
        findings += same_steps(subject, request, judge.location)
    judged = Judged(
        contract="" if subject.contract is None else subject.contract.name,
        note=note,
        laws=tuple(law.text for law in laws),
        finished=tuple(law.id for law in laws),
        findings=findings,
        traces=traces(subject, given.seed) if given.baseline else {},
        behaviour=_recorded(judge) if given.baseline else {},
        location=judge.location,
        notices=refusals(subject),
    )
    seconds = time.perf_counter() - began
    return GateResult(conclude(request, judged, expected, seconds=seconds), figures)


def _recorded(judge: Judge) -> Behaviour:
    """Return the behaviour record; what the target leaves behind is put back."""
    with threads(), judge.watch.during("behaviour", service_of(judge.subject)):
        return behaviour(judge.subject)


def refusals(subject: Subject) -> list[str]:
    """Return a sentence for each setting of the contract that the target's constructor refuses."""
    return [
        f"the constructor refuses {words}, so this setting was not judged: {told}"
        for words, told in subject.refused.items()
    ]


def same_steps(subject: Subject, request: GateRequest, location: Location | None) -> list[Finding]:
    """Play the same scenarios with the reference, which gets those of the arguments that it takes."""
    options = request.options
    reference: Any = options.reference
    name = ""
    if isinstance(reference, str):
        from ilr_check.optim.target import import_target

        reference, name = import_target(reference), reference
    contract = "auto" if subject.contract is None else subject.contract
    taken = Subject(reference).taken
    args = {word: value for word, value in options.args.items() if taken is None or word in taken}
    given = GateOptions(contract=contract, args=args, device=options.device, name=name)
    other, _ = subject_of(reference, given)
    ours, others = traces(subject, options.seed), traces(other, options.seed)
    return apart(request, REFERENCE.id, ours, others, than=other.title, location=location)
