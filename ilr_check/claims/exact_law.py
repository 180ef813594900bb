"""What exact claims share: residuals against derived bounds, the search, and the verdict on both.

An exact claim is algebra up to rounding. Hypothesis looks for a counter-example; no probability is involved,
so searching is safe, and what it finds is shrunk. A rival must be refuted by the same examples, by at least
``REFUTED`` bounds, or the search was too weak to speak.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.claims.settings.full_size import workload_of
from ilr_check.evidence import ClaimText, Margin, Measured, RivalOutcome
from ilr_check.evidence.replay_line import replay_line
from ilr_check.seeds import derive
from ilr_check.train.loop import Setting, sgd_in

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.train.loop import OptimizerFactory
    from ilr_check.train.world import World

Example = TypeVar("Example", bound=msgspec.Struct)

REFUTED = 100.0
"""A rival counts as refuted when its residual exceeds this many bounds: two digits beyond doubt."""

EXAMPLES: dict[Profile, int] = {"quick": 60, "standard": 400, "paper": 400, "nightly": 4_600}
"""Generated examples a claim; the nightly ones of the 24 claims of the chapter add up to 110 000."""

CLIMBING = 0.2
"""Share of the nightly examples that climb towards the bound, after those drawn at random: climbing reaches
higher residuals, but repeats itself and drifts to large nets, whose examples cost two to three times more."""


@dataclass(frozen=True)
class Outcome:
    """What one example says: the worst residual in units of its bound, and the same under each rival."""

    ratio: float = 0.0
    group: str = ""
    step: int = 0
    steps: int = 0
    rivals: Mapping[str, float] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    skipped: str = ""
    """Why this example says nothing, where it does not."""


class Worst:
    """Collects residuals of one example and keeps the largest of each kind."""

    def __init__(self) -> None:
        self._ratio, self._group, self._step = 0.0, "", 0
        self._rivals: dict[str, float] = {}

    def add(self, residual: float, bound: float, *, group: str, step: int) -> None:
        """Take in one residual; a residual that is not a number counts as infinite."""
        ratio = _ratio(residual, bound)
        if ratio > self._ratio or not self._group:
            self._ratio, self._group, self._step = max(ratio, self._ratio), group, step

    def add_rival(self, name: str, residual: float, bound: float) -> None:
        """Take in the residual that a rival theory leaves."""
        self._rivals[name] = max(self._rivals.get(name, 0.0), _ratio(residual, bound))

    def outcome(self, *, steps: int, events: tuple[str, ...] = (), skipped: str = "") -> Outcome:
        """The sum of it."""
        return Outcome(self._ratio, self._group, self._step, steps, dict(self._rivals), events, skipped)


def _ratio(residual: float, bound: float) -> float:
    if not math.isfinite(residual):
        return math.inf
    if bound > 0:
        return abs(residual) / bound
    return 0.0 if residual == 0 else math.inf


class LawBroken(AssertionError):
    """An example breaks an exact law."""


@dataclass(frozen=True, kw_only=True)
class ExactLaw(Generic[Example]):
    """An exact claim before it is planned: how to generate examples and how to check one."""

    text: ClaimText
    example_type: type[Example]
    examples: Callable[[], SearchStrategy[Example]]
    check: Callable[[Example], Outcome]
    real: Callable[[Profile], tuple[tuple[str, Example], ...]]
    """Examples on real data, each with a title."""
    quantity: str
    judged_with: Mapping[str, Any] = field(default_factory=dict)
    """What a replay needs beside the example, where another optimizer than torch's SGD is judged."""

    @property
    def takes_optimizer(self) -> bool:
        """Whether this law speaks about the optimizer, so that another one may be judged by it."""
        return "optimizer" in inspect.signature(self.check).parameters

    def of(self, optimizer: OptimizerFactory, judged_with: Mapping[str, Any]) -> ExactLaw[Example]:
        """The same law about another optimizer; ``judged_with`` goes into the line that replays a failure."""
        check = partial(self.check, optimizer=optimizer)  # type: ignore[call-arg]
        return replace(self, check=check, judged_with=judged_with)

    @property
    def takes_world(self) -> bool:
        """Whether this law is about steps, so that a world can enter its trainings."""
        return self.takes_optimizer or "world" in inspect.signature(self.check).parameters

    def in_world(self, world: World) -> ExactLaw[Example]:
        """Return the same law about trainings in a world."""
        about = {"world": world.target or world.name}
        if self.takes_optimizer:
            return self.of(sgd_in(world), about)
        # ``takes_world`` has read from its signature that it takes one.
        check = partial(self.check, world=world)  # type: ignore[call-arg]
        return replace(self, check=check, judged_with=about)

    def assert_holds(self, example: Example) -> Outcome:
        """Check one example; raises ``LawBroken`` with everything needed to understand and repeat it."""
        outcome = self.check(example)
        if outcome.ratio > 1.0:
            raise LawBroken(self.failure(example, outcome))
        return outcome

    def failure(self, example: Example, outcome: Outcome) -> str:
        """Claim, measured, expected, margin, spec, and the line that replays it."""
        line = replay_line({"claim": self.text.id, "example": example, **self.judged_with})
        return (
            f"{self.text.id} is violated: {self.text.statement}\n"
            f"  measured: {self.quantity} = {outcome.ratio:.3g} in group {outcome.group!r}, "
            f"step {outcome.step}\n"
            f"  expected: 0, margin: 1 (the derived rounding bound)\n"
            f"  meaning: {self.text.meaning}\n"
            f"  replay: {line}"
        )

    def claim(self) -> Claim:
        """The claim as the engine runs it."""
        return Claim(text=self.text, plan=self._plan, judge=self._judge)

    def _plan(self, profile: Profile, seed: int) -> tuple[Unit, ...]:
        count = EXAMPLES[profile]
        units = [
            Unit(
                claim=self.text.id,
                title=f"{self.text.id}: {count} generated nets",
                subject={"generated": {"examples": count, "search_seed": derive(self.text.id, seed)}},
            )
        ]
        for title, example in self.real(profile):
            subject = {"example": msgspec.to_builtins(example), "title": title}
            units.append(
                Unit(
                    claim=self.text.id,
                    title=f"{self.text.id}: {title}",
                    subject=subject,
                    workload=workload_of(example) if profile == "paper" else None,
                )
            )
        return tuple(units)

    def _judge(self, subject: dict[str, Any], context: Context) -> Judged:
        if context.world is not None:
            return self._judge_in(context.world, subject, context)
        if "generated" in subject:
            return self._judge_generated(subject["generated"], context)
        example = on_device(msgspec.convert(subject["example"], type=self.example_type), context.device)
        outcome = self.check(example)
        events = dict(Counter(outcome.events))
        tally = Tally(
            count=1,
            worst=outcome,
            example=example,
            rivals=dict(outcome.rivals),
            events=events,
            ratios=[outcome.ratio],
            steps=outcome.steps,
            skipped=int(bool(outcome.skipped)),
        )
        title = subject.get("title", "one example")
        return Judged((self.judged(tally, subject, title, demand_rivals="title" in subject),))

    def _judge_in(self, world: World, subject: dict[str, Any], context: Context) -> Judged:
        plain = replace(context, world=None)
        if self.takes_world:
            return self.in_world(world)._judge(subject, plain)
        return Judged(
            (
                Finding(
                    form="exact",
                    group=subject.get("title", "generated nets"),
                    subject=subject,
                    verdict="skipped",
                    quantity=self.quantity,
                    measured=Measured(value=None),
                    expected=0.0,
                    margin=Margin(low=0.0, high=1.0),
                    message=f"the claim takes no optimizer steps, so world {world.name!r} cannot enter it",
                    counts=False,
                ),
            )
        )

    def _judge_generated(self, plan: dict[str, int], context: Context) -> Judged:
        from ilr_check.claims.search import search

        tally = Tally()

        def attempt(drawn: Example) -> None:
            example = on_device(drawn, context.device)
            outcome = self.check(example)
            tally.add(example, outcome)
            context.progress(min(1.0, tally.count / plan["examples"]))
            if outcome.ratio > 1.0:
                raise LawBroken(self.failure(example, outcome))

        count, seed = plan["examples"], plan["search_seed"]
        climbing = round(CLIMBING * count) if context.profile == "nightly" else 0
        broken = search(self.examples(), attempt, examples=count - climbing, seed=seed)
        if broken is None and climbing:
            broken = search(
                self.examples(),
                attempt,
                examples=climbing,
                seed=derive("climbing", seed),
                target=lambda: tally.last_ratio,
            )
        if broken is not None:
            broken = on_device(broken, context.device)
            tally.accept_only(broken, self.check(broken))
        subject = {"example": msgspec.to_builtins(tally.example)}
        return Judged((self.judged(tally, subject, "generated nets", demand_rivals=True),))

    def judged(self, tally: Tally, subject: dict[str, Any], title: str, *, demand_rivals: bool) -> Finding:
        """The verdict on the examples of a tally; without ``demand_rivals`` it may hold with rivals left."""
        worst = tally.worst
        rivals = tuple(
            RivalOutcome(name=name, expected=_finite(tally.rivals.get(name)), excluded=_refuted(tally, name))
            for name in self.text.rivals
        )
        missed = [rival.name for rival in rivals if not rival.excluded]
        if worst.skipped and tally.judged == 0:
            verdict, message = "skipped", worst.skipped
        elif worst.ratio > 1.0:
            verdict, message = (
                "violated",
                self.failure(msgspec.convert(subject["example"], self.example_type), worst),
            )
        elif missed and demand_rivals:
            verdict = "inconclusive"
            message = f"no example could tell the theory from its rivals: {', '.join(missed)}"
        else:
            verdict = "holds"
            message = f"the worst of {tally.count} examples stays at {worst.ratio:.2g} of its rounding bound"
        return Finding(
            form="exact",
            group=title,
            subject=subject,
            verdict=verdict,  # type: ignore[arg-type]
            quantity=self.quantity,
            measured=Measured(value=_finite(worst.ratio)),
            expected=0.0,
            margin=Margin(low=0.0, high=1.0),
            detectable=1.0,
            message=message,
            rivals=rivals,
            n_runs=tally.count,
            n_steps=tally.steps,
            dtype=str(
                subject["example"].get("dtype") or subject["example"].get("setting", {}).get("dtype", "")
            ),
            events=tally.events,
        )


@dataclass
class Tally:
    """What the examples of a search have said so far."""

    count: int = 0
    worst: Outcome = field(default_factory=Outcome)
    example: Any = None
    rivals: dict[str, float] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    ratios: list[float] = field(default_factory=list)
    steps: int = 0
    skipped: int = 0

    @property
    def judged(self) -> int:
        """Examples that said something."""
        return self.count - self.skipped

    @property
    def last_ratio(self) -> float:
        """The residual of the latest example, in bounds."""
        return self.ratios[-1] if self.ratios else 0.0

    def add(self, example: Any, outcome: Outcome) -> None:
        """Take in one example and what it says."""
        self.count += 1
        self.steps += outcome.steps
        self.ratios.append(outcome.ratio)
        for event in outcome.events:
            self.events[event] = self.events.get(event, 0) + 1
        if outcome.skipped:
            self.skipped += 1
            self.events[outcome.skipped] = self.events.get(outcome.skipped, 0) + 1
        for name, ratio in outcome.rivals.items():
            self.rivals[name] = max(self.rivals.get(name, 0.0), ratio)
        if self.example is None or outcome.ratio > self.worst.ratio:
            self.worst, self.example = outcome, example

    def accept_only(self, example: Any, outcome: Outcome) -> None:
        """Speak about the shrunk counter-example from here on."""
        self.worst, self.example = outcome, example


def on_device(example: Example, device: str) -> Example:
    """The same example on a device; its spec says so, so that a replay goes there too."""
    if isinstance(example, Setting):
        return msgspec.structs.replace(example, device=device)
    inner = getattr(example, "setting", None)
    if isinstance(inner, Setting):
        return msgspec.structs.replace(example, setting=on_device(inner, device))
    return example


def _refuted(tally: Tally, name: str) -> bool:
    return tally.rivals.get(name, 0.0) >= REFUTED


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
