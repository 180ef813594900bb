"""The session judges the planned work of the property files under its settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import msgspec
import pytest
from hypothesis import HealthCheck, Phase

from ilr_check import engine, planning
from ilr_check.claims import catalogue, laws, select
from ilr_check.claims.claim import Context, Judged, Unit
from ilr_check.claims.exact_law import EXAMPLES, ExactLaw, LawBroken, Tally
from ilr_check.evidence import Record, verdict_order
from ilr_check.evidence.gate import decides
from ilr_check.gate.law import GateLaw
from ilr_check.optim.target import load_target
from ilr_check.planning import Settings, Work
from ilr_check.plugin.gate import SessionGate, as_records, finding_properties, finding_text
from ilr_check.plugin.hooks import VERDICTS
from ilr_check.plugin.settings import PluginSettings, settings_of
from ilr_check.plugin.verdicts import failure_text, keep, properties
from ilr_check.seeds import derive
from ilr_check.train.determinism import checked_device
from ilr_check.train.threads import threads
from ilr_check.train.world import named_world

SESSION = pytest.StashKey["VerdictSession"]()
Verdict = TypeVar("Verdict", bound=Record)
RecordProperty = Callable[[str, object], None]
"""The fixture ``ilr_property``, or pytest's ``record_property``."""


class VerdictSession:
    """Judges claims under a session's settings; every verdict becomes properties of its test, and is kept."""

    def __init__(self, settings: PluginSettings, *, verdicts: Path | None, worker: str) -> None:
        self.settings = settings
        self.engine_settings = Settings(
            profile=settings.profile,
            claims=settings.claims,
            seed=settings.seed,
            device=checked_device(settings.device),
            world=settings.world,
        )
        self._world = named_world(settings.world) if settings.world else None
        self._folder = None if verdicts is None else verdicts / worker
        self._optimizer = (
            load_target(settings.optimizer, dict(settings.args), varied=()) if settings.optimizer else None
        )
        self.gate = None if self._optimizer is None else SessionGate(self._optimizer, settings)

    @cached_property
    def laws(self) -> tuple[ExactLaw[Any], ...]:
        """Return the chosen exact laws, about the session's optimizer where they concern one."""
        chosen = {claim.id for claim in select(self.settings.claims)}
        return tuple(self._about(law) for name, law in laws().items() if name in chosen)

    @cached_property
    def works(self) -> tuple[Work, ...]:
        """Return all planned work in its order; one error budget covers all its decisions."""
        return planning.plan(self.engine_settings, self._world)[1]

    def units_of(self, chapter: str) -> tuple[Work, ...]:
        """Return the planned units of a chapter's claims."""
        return tuple(w for w in self.works if catalogue()[w.unit.claim].text.chapter == chapter)

    def hunt(self, law: ExactLaw[Any], record_property: RecordProperty) -> None:
        """Let Hypothesis look for a counter-example; fails with the shrunk one.

        Fails too where no example could tell the law from its rivals: then the search says nothing.
        """
        self._skip_unless_asked(law, record_property)
        tally, started = Tally(), time.perf_counter()
        nightly = self.settings.profile == "nightly"

        def holds(example: Any) -> None:
            outcome = law.check(example)
            for label in outcome.events:
                hypothesis.event(label)
            if nightly:
                hypothesis.target(min(outcome.ratio, 1e300), label="residual / bound")
            if outcome.ratio > 1.0:
                tally.accept_only(example, outcome)
                raise LawBroken(law.failure(example, outcome))
            tally.add(example, outcome)

        # Hypothesis files examples under the name of the function, and each law has its own.
        holds.__name__ = holds.__qualname__ = law.text.id.replace("-", "_")
        profile = hypothesis_profile(self.settings.profile)
        if self.settings.examples is not None:
            profile = hypothesis.settings(profile, max_examples=self.settings.examples)
        test = hypothesis.settings(profile)(hypothesis.given(law.examples())(holds))
        if not nightly:
            test = hypothesis.seed(derive(law.text.id, self.settings.seed))(test)
        notes: list[str] = []
        try:
            with threads(1):  # single steps of small nets: a second thread only waits for the first
                test()
        except LawBroken as broken:
            # Hypothesis has tried the shrunk example last, and notes how it was called.
            notes = list(getattr(broken, "__notes__", ()))
        subject = {"example": msgspec.to_builtins(tally.example)}
        finding = law.judged(tally, subject, "generated nets", demand_rivals=True)
        work = self._work(law, "generated nets", subject)
        self._settle(work, Judged((finding,)), time.perf_counter() - started, record_property, notes)

    def check(self, law: ExactLaw[Any], title: str, example: Any, record_property: RecordProperty) -> None:
        """Check one example; fails if it breaks the law or cannot tell it from its rivals."""
        self._skip_unless_asked(law, record_property)
        started = time.perf_counter()
        subject = {"example": msgspec.to_builtins(example), "title": title}
        context = Context(seed=self.settings.seed, profile=self.settings.profile)
        with threads(1):
            judged = law.claim().judge(subject, context)
        self._settle(self._work(law, title, subject), judged, time.perf_counter() - started, record_property)

    def judge(self, work: Work, record_property: RecordProperty) -> None:
        """Judge one planned unit, once; fails unless every verdict that counts holds."""
        with threads():
            judged, seconds = engine.perform(work)
        self._settle(work, judged, seconds, record_property)

    def pass_gate(self, law: GateLaw, record_property: RecordProperty) -> None:
        """Judge the session's optimizer by a law of the gate; fails unless it holds, or does not apply.

        A violation that is milder than ``--ilr-fail-on`` is printed and does not fail the test.
        """
        assert self.gate is not None
        findings, figures = self.gate.judge(law)
        for name, value in properties(findings, findings[0].replay):
            record_property(name, value)
        for name, value in finding_properties(findings, self.gate.contract):
            record_property(name, value)
        if self._folder is not None:
            keep(self._folder, as_records(findings), tuple(figures.values()), self.engine_settings)
        mild = [f for f in findings if f.verdict == "violated" and not decides(f, self.gate.options.fail_on)]
        for finding in mild:
            print(f"{finding.severity}: {finding.id}: {finding.diagnosis}")  # shown by pytest -rA
        rest = [f for f in findings if f not in mild]
        if not mild or any(f.verdict != "skipped" for f in rest):
            self._demand(rest, [], finding_text)

    def _skip_unless_asked(self, law: ExactLaw[Any], record_property: RecordProperty) -> None:
        """Skip a law about SGD for an optimizer of another family, and a law without steps in a world."""
        reason = self.gate.not_sgd() if self.gate is not None and law.takes_optimizer else ""
        if self._world is not None and not law.takes_world:
            reason = f"the claim takes no optimizer steps, so world {self._world.name!r} cannot enter it"
        if reason:
            record_property("ilr.claim", law.text.id)
            record_property("ilr.verdict", "skipped")
            pytest.skip(reason)

    def _about(self, law: ExactLaw[Any]) -> ExactLaw[Any]:
        if self._world is not None and law.takes_world:
            return law.in_world(self._world)
        if self._optimizer is None or not law.takes_optimizer:
            return law
        args = {"args": dict(self.settings.args)} if self.settings.args else {}
        return law.of(self._optimizer, {"optimizer": self.settings.optimizer, **args})

    def _work(self, law: ExactLaw[Any], title: str, subject: dict[str, Any]) -> Work:
        unit = Unit(claim=law.text.id, title=f"{law.text.id}: {title}", subject=subject)
        seed = derive(law.text.id, title, self.settings.seed)
        return Work(
            key=f"{law.text.id}-{seed:016x}", unit=unit, seed=seed, settings=self.engine_settings, alphas={}
        )

    def _settle(
        self,
        work: Work,
        judged: Judged,
        seconds: float,
        record_property: RecordProperty,
        notes: list[str] | None = None,
    ) -> None:
        law = next((law for law in self.laws if law.text.id == work.unit.claim), None)
        found = engine.records_of(work, judged, seconds, judged_with=law.judged_with if law else {})
        for name, value in properties(found, found[0].replay):
            record_property(name, value)
        if self._folder is not None:
            keep(self._folder, found, judged.figures, self.engine_settings)
        self._demand(found, notes or [], _record_text)

    def _demand(self, found: Sequence[Verdict], notes: list[str], text: Callable[[Verdict], str]) -> None:
        counting = [record for record in found if record.counts]
        failing = set(verdict_order.FAILED) - (
            {"inconclusive"} if self.settings.allow_inconclusive else set()
        )
        bad = [record for record in counting if record.verdict in failing]
        if bad:
            pytest.fail("\n\n".join([*map(text, bad), *notes]), pytrace=False)
        if all(record.verdict == "skipped" for record in counting):
            pytest.skip("; ".join(dict.fromkeys(record.message for record in counting)))


def _record_text(record: Record) -> str:
    return failure_text(record, catalogue()[record.claim].text.statement)


def hypothesis_profile(profile: str) -> hypothesis.settings:
    """Register ``ilr-<profile>`` as a child of the profile in force, and return it.

    ``quick`` and ``standard`` are decided by --ilr-seed; ``nightly`` is random, and its database remembers.
    """
    options: dict[str, Any] = {} if profile == "nightly" else {"derandomize": True, "database": None}
    name = f"ilr-{profile}"
    hypothesis.settings.register_profile(
        name,
        parent=hypothesis.settings(),
        max_examples=EXAMPLES[profile],  # type: ignore[index]
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=list(HealthCheck),
        **options,
    )
    return hypothesis.settings.get_profile(name)


def session_of(config: pytest.Config) -> VerdictSession:
    """Return the session that judges, for hooks and fixtures; it is made when it is first asked for."""
    if SESSION not in config.stash:
        config.stash[SESSION] = VerdictSession(
            settings_of(config),
            verdicts=config.stash.get(VERDICTS, None),
            worker=getattr(config, "workerinput", {}).get("workerid", "main"),
        )
    return config.stash[SESSION]
