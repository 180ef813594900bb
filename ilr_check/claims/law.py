"""A statistical claim as one declaration: what is trained, how it is designed, what is read off a run.

The loop that plans, trains, examines, draws and words a finding is written here, once. An exact claim is an
``ExactLaw`` (``exact_law.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import numpy as np

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit, Workload
from ilr_check.claims.findings import as_departure, finding_of, unreached
from ilr_check.claims.lab import Lab
from ilr_check.claims.mistakes import Mistake, with_near_rival
from ilr_check.evidence import ClaimText, Figure
from ilr_check.evidence.records import Form, Premise, VerdictWord
from ilr_check.nets import NetSpec, net_groups
from ilr_check.stats import Decision, Design, Examination, Rival, examine

PERMUTATION_SEEDS = 2**31


class Experiment(Protocol):
    """What a unit is planned from: a struct with a net, and a title that no other of its claim has."""

    @property
    def title(self) -> str: ...
    @property
    def net(self) -> Any: ...


Spec = TypeVar("Spec", bound=Experiment)
Trained = TypeVar("Trained")


@dataclass(frozen=True)
class Part:
    """What one decision of an experiment is about.

    ``group`` names it in the record, ``name`` in the error budget, ``figure`` among the figures of the
    experiment. Parts with the same ``figure`` share one, which ``figure`` or ``closing`` of the law draws.
    """

    group: str
    tensors: tuple[str, ...] = ()
    what: Any = None
    """What is judged, where a group is judged in several ways."""
    name: str = ""
    figure: str = ""
    inequality: bool = False
    """The theory gives bounds and no value, so the finding has no expected value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.group)


@dataclass(frozen=True, kw_only=True)
class Departure(Generic[Spec]):
    """A subject that is known to depart from its claim. It stays in the claim and is judged in every run.

    ``expected`` gives the verdict of parts by name, ``""`` that of all parts that are not named. A part
    without one is expected to hold. The verdict is settled by pilot runs with other seeds, and ``reason``
    says why the theory does not apply.
    """

    spec: Spec
    expected: Mapping[str, VerdictWord]
    reason: str
    profiles: tuple[Profile, ...] = ("quick", "standard")

    def verdict_of(self, part: Part) -> VerdictWord:
        """Return the expected verdict of a part."""
        return self.expected.get(part.name, self.expected.get("", "holds"))


@dataclass(frozen=True)
class Examined(Generic[Spec, Trained]):
    """What is known once a part is decided; messages, figures and findings beside it are made from this."""

    spec: Spec
    runs: Trained
    part: Part
    design: Design
    examination: Examination
    subject: dict[str, Any]
    figure: str = ""

    @property
    def n(self) -> int:
        """The number of runs in each population."""
        return self.examination.runs_used

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors of the invariant group."""
        return self.part.tensors

    @property
    def decision(self) -> Decision:
        """The decision of the last look."""
        return self.examination.decision

    def about(self) -> dict[str, Any]:
        """Return what every finding about this part has in common."""
        return {"group": self.part.group, "subject": self.subject, "figure": self.figure}


def invariant_groups(spec: Experiment) -> tuple[Part, ...]:
    """Return one part for each scale-invariant group of the experiment's net."""
    return tuple(Part(group, tensors, figure=group) for group, tensors in judged_groups(spec.net).items())


def _farthest_of(spec: Any, part: Part, design: Design) -> dict[str, float]:
    """Return, for each rival that is a curve, its value where it is farthest from theory."""
    curves = {rival.name: np.asarray(rival.expected) for rival in design.rivals if np.ndim(rival.expected)}
    return {name: float(values[np.abs(values).argmax()]) for name, values in curves.items()}


def _no_premises(seen: Any) -> tuple[Premise, ...]:
    return ()


def _main_alone(seen: Any, main: Finding) -> tuple[Finding, ...]:
    return (main,)


def _nothing_more(spec: Any, runs: Any, subject: dict[str, Any], n: int) -> Judged:
    return Judged(())


@dataclass(frozen=True, kw_only=True)
class StatisticalLaw(Generic[Spec, Trained]):
    """A statistical claim: one decision for each part of each experiment.

    ``experiments`` gives the specs, ``run_steps`` the run-steps of the first look of one. ``trained`` makes
    the object that reads the runs; it trains nothing until it is asked. ``design`` sees the spec alone, so
    that no margin can depend on the data. ``sample`` gives the data of the first n runs in the form that the
    design asks for. The rest words, draws and supplements what was decided.
    """

    text: ClaimText
    spec: type[Spec]
    experiments: Callable[[Profile, int], Sequence[Spec]]
    run_steps: Callable[[Spec], float]
    trained: Callable[[Spec, Lab], Trained]
    design: Callable[[Spec, Part, float], Design]
    """(spec, part, false-fail rate) -> the design."""
    sample: Callable[[Trained, Part, int], Any]
    steps: Callable[[Spec, Part], int]
    """Steps of one run of every population that the part needs."""
    parts: Callable[[Spec], Sequence[Part]] = invariant_groups
    form: Form | Callable[[Spec, Part], Form] = "transfer"
    message: Callable[[Examined[Spec, Trained]], str] = lambda seen: ""
    figure: Callable[[Examined[Spec, Trained]], Figure] | None = None
    """Its name and, where it is empty, its title are filled in by the law."""
    rival_values: Callable[[Spec, Part, Design], Mapping[str, float]] = _farthest_of
    """(spec, part, design) -> one number for each rival that is a curve; by default where it is farthest."""
    mistakes: Callable[[Spec, Part], Sequence[Mistake]] = lambda spec, part: ()
    """Return the kinds of mistakes for a spec and a part. The first one near the margin becomes a rival."""
    departures: Sequence[Departure[Spec]] = ()
    """Subjects on which the claim is known to fail; none of them is among ``experiments``."""
    premises: Callable[[Examined[Spec, Trained]], Sequence[Premise]] = _no_premises
    presupposes: str = ""
    """What ``premises`` measure, as a sentence."""
    findings: Callable[[Examined[Spec, Trained], Finding], Iterable[Finding]] = _main_alone
    """The findings of a part in order, the main one among them."""
    closing: Callable[[Spec, Trained, dict[str, Any], int], Judged] = lambda spec, runs, subject, n: Judged(
        ()
    )
    """(spec, runs, subject, most runs used) -> findings and figures about the whole experiment.

    It is also called, with 0 runs, for an experiment without parts, and not where no part took any run."""
    workload: Callable[[Spec], Workload | None] = lambda spec: None
    """What is trained in full size, where it is; priced before it starts."""

    def claim(self) -> Claim:
        """Return the claim as the engine runs it."""
        return Claim(text=self.text, plan=self.plan, judge=self.judge)

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """Return one unit for each experiment and known departure, with one decision for each part."""
        same = "standard" if profile == "paper" else profile  # ``paper`` is ``standard`` and more
        known = [departure.spec for departure in self.departures if same in departure.profiles]
        return tuple(
            Unit(
                claim=self.text.id,
                title=f"{self.text.id}: {spec.title}",
                subject=msgspec.to_builtins(spec),
                decisions=tuple(self._decision(spec, part) for part in self.parts(spec)),
                workload=self.workload(spec) if profile == "paper" else None,
            )
            for spec in (*self.experiments(profile, seed), *known)
        )

    def judge(self, subject: dict[str, Any], context: Context) -> Judged:
        """Train and judge one experiment."""
        spec = msgspec.convert(subject, type=self.spec)
        lab = Lab(context, self.run_steps(spec))
        runs = self.trained(spec, lab)
        findings: list[Finding] = []
        figures: dict[str, Figure] = {}
        most, parts = 0, self.parts(spec)
        for part in parts:
            design = self.planned_design(spec, part, context)
            examination = examine(design, partial(self.sample, runs, part))
            name = file_name(self.text.id, spec.title, part.figure) if part.figure else ""
            seen = Examined(spec, runs, part, design, examination, subject, name)
            most = max(most, seen.n)
            if seen.n and self.figure and name and name not in figures:
                figures[name] = self._drawn(seen, name)
            findings += self._found(seen)
        last = self.closing(spec, runs, subject, most) if most or not parts else Judged(())
        drawn = (*figures.values(), *last.figures)
        names = {figure.name for figure in drawn}
        found = [f if f.figure in names else replace(f, figure="") for f in (*findings, *last.findings)]
        found = [lab.soundness.demanded(finding) for finding in found]
        if context.world is not None and lab.untouched:
            found = [unreached(finding, context.world.name) for finding in found]
        return Judged(tuple(found), drawn)

    def planned_design(self, spec: Spec, part: Part, context: Context) -> Design:
        """Return the design of a part with its error rates in this run."""
        return _planned(self.designed(spec, part, context.alpha(self._decision(spec, part))), context)

    def designed(self, spec: Spec, part: Part, alpha: float) -> Design:
        """Return the design of a part, a near rival among its rivals."""
        return with_near_rival(self.design(spec, part, alpha), self.mistakes(spec, part))

    def _decision(self, spec: Spec, part: Part) -> str:
        return f"{self.text.id}/{spec.title}/{part.name}"

    def _drawn(self, seen: Examined[Spec, Trained], name: str) -> Figure:
        assert self.figure is not None
        figure = self.figure(seen)
        title = figure.title or f"{seen.spec.title}, {seen.part.figure}"
        return msgspec.structs.replace(figure, name=name, title=title)

    def _rival_values(self, seen: Examined[Spec, Trained]) -> dict[str, float]:
        about = seen.spec, seen.part, seen.design
        return {**_farthest_of(*about), **self.rival_values(*about)}

    def _found(self, seen: Examined[Spec, Trained]) -> Iterable[Finding]:
        form = self.form if isinstance(self.form, str) else self.form(seen.spec, seen.part)
        if not seen.n:
            nothing = {**seen.about(), "figure": ""}
            values = self._rival_values(seen)
            return (finding_of(seen.examination, form=form, n_steps=0, rival_values=values, **nothing),)
        main = finding_of(
            seen.examination,
            form=form,
            n_steps=self.steps(seen.spec, seen.part),
            message=self.message(seen),
            rival_values=self._rival_values(seen),
            premises=tuple(self.premises(seen)),
            **seen.about(),
        )
        departure = next((known for known in self.departures if known.spec == seen.spec), None)
        if departure is not None and departure.verdict_of(seen.part) != "holds":
            main = as_departure(main, departure.verdict_of(seen.part), departure.reason)
        if seen.part.inequality:
            main = replace(main, expected=None, agreement="inequality" if main.verdict == "holds" else "")
        return self.findings(seen, main)


class UnitLaw(Protocol):
    """What plans and judges units of a claim: a ``StatisticalLaw``, or a table of closed forms."""

    @property
    def spec(self) -> type[Any]:
        """The type of its subjects."""
        ...

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]: ...
    def judge(self, subject: dict[str, Any], context: Context) -> Judged: ...


class SeveralLaws:
    """A claim that is judged in several ways: each unit is planned and judged by one of its laws."""

    def __init__(self, text: ClaimText, *laws: UnitLaw) -> None:
        self.text, self.laws = text, laws

    def claim(self) -> Claim:
        """Return the claim as the engine runs it."""
        return Claim(text=self.text, plan=self.plan, judge=self.judge)

    def plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        """Return the units of all laws."""
        return tuple(unit for law in self.laws for unit in law.plan(profile, seed))

    def judge(self, subject: dict[str, Any], context: Context) -> Judged:
        """Judge a subject by the first law whose spec it is; raises ``ValueError`` where it is nobody's."""
        for law in self.laws:
            try:
                msgspec.convert(subject, type=law.spec)
            except msgspec.ValidationError:
                continue
            return law.judge(subject, context)
        raise ValueError(f"{self.text.id} has no experiment with the fields {sorted(subject)}")


def rivals_at(*rivals: tuple[str, float | tuple[float, ...]]) -> tuple[Rival, ...]:
    """Return rivals from pairs of a name and what the rival expects."""
    return tuple(Rival(name=name, expected=expected) for name, expected in rivals)


def judged_groups(net: NetSpec) -> dict[str, tuple[str, ...]]:
    """Return the groups of a net that a law of the norm speaks about: name to tensors."""
    return {"+".join(g.names): g.names for g in net_groups(net) if g.kind in ("exact", "joint")}


def file_name(*parts: str) -> str:
    """Return a figure's name made of words: letters, digits, dots and dashes only."""
    text = "--".join(part for part in parts if part)
    return "".join(c if c.isalnum() or c in "-._" else "-" for c in text)


def _planned(design: Design, context: Context) -> Design:
    """Return the design with the run's false-pass rate and, where it draws permutations, the unit's seed."""
    planned: dict[str, Any] = {"false_pass": min(design.false_pass, context.false_pass)}
    if any(f.name == "seed" for f in fields(design)):
        planned["seed"] = context.seed % PERMUTATION_SEEDS
    return replace(design, **planned)
