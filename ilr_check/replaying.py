"""Judges one recorded verdict again, with the same spec and seeds. It needs neither Hypothesis nor a run
folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ilr_check.claims import catalogue, laws
from ilr_check.claims.claim import Context, Finding, Judged, Progress
from ilr_check.data.named_paths import CIFAR10, USER_DATA
from ilr_check.engine import threads_of
from ilr_check.evidence import Record, RunFolder, records
from ilr_check.optim.target import load_target
from ilr_check.planning import Settings, Work
from ilr_check.train.determinism import checked_device
from ilr_check.train.threads import threads
from ilr_check.train.world import named_world


class ReplayError(ValueError):
    """A verdict that should be replayed cannot be found or read."""


def replay(
    target: str,
    *,
    device: str | None = None,
    world: str | None = None,
    progress: Progress = lambda fraction: None,
) -> Replayed:
    """Judge again what ``target`` names: RUN#ID, or a record or a spec as JSON.

    ``world`` is a TARGET that states how the trainings depart from plain ones. A record may come from
    anywhere, so it never names the code that is imported or the folder that is read. The caller names them
    (``world``, ILR_CHECK_CIFAR10). A spec as JSON may name an optimizer, because the caller has typed it.
    Raises ``ReplayError``.
    """
    recorded = _from_run(target) if not target.lstrip().startswith("{") else _from_json(target)
    recorded = msgspec.structs.replace(recorded, subject=_with_named_data(recorded.subject))
    claim = recorded.claim
    if claim not in catalogue():
        raise ReplayError(f"claim {claim!r} is not known here; known are {', '.join(catalogue())}")
    context = Context(
        seed=recorded.unit_seed,
        profile="quick",
        device=checked_device(device or recorded.device),
        default_alpha=recorded.false_fail or 1e-5,
        false_pass=recorded.false_pass or 1e-2,
        progress=progress,
        world=None if world is None else named_world(world),
    )
    judge = catalogue()[claim].judge if not recorded.optimizer else _judge_with(recorded)
    with threads(threads_of(claim)):
        try:
            judged = judge(recorded.subject, context)
        except (msgspec.MsgspecError, KeyError) as error:
            raise ReplayError(
                f"the spec does not fit {claim} ({type(error).__name__}: {error}); give it as a record or a "
                "failure prints it"
            ) from error
    return Replayed(recorded=recorded, judged=judged)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is needed to judge a verdict again."""

    claim: str
    subject: dict[str, Any]
    unit_seed: int = 0
    device: str = "cpu"
    false_fail: float = 0.0
    false_pass: float = 0.0
    record: Record | None = None
    optimizer: str = ""
    """The TARGET that was judged instead of torch's SGD."""
    args: dict[str, Any] = {}


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A second judgement of a recorded verdict."""

    recorded: Recorded
    judged: Judged

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings that correspond to the recorded verdict, or all findings of the unit."""
        record = self.recorded.record
        if record is None or "example" in self.recorded.subject:
            return self.judged.findings
        wanted = (record.form, record.group, record.quantity)
        return tuple(f for f in self.judged.findings if (f.form, f.group, f.quantity) == wanted)

    @property
    def agrees(self) -> bool | None:
        """Whether the verdict is the recorded one, or ``None`` if none was recorded."""
        record = self.recorded.record
        return None if record is None else {f.verdict for f in self.findings} == {record.verdict}

    def as_records(self) -> tuple[Record, ...]:
        """Return the findings as records, for the reporters."""
        from ilr_check.claims.claim import Unit
        from ilr_check.engine import records_of

        unit = Unit(claim=self.recorded.claim, title="replay", subject=self.recorded.subject)
        work = Work(
            key=f"{self.recorded.claim}-{self.recorded.unit_seed:016x}",
            unit=unit,
            seed=self.recorded.unit_seed,
            settings=Settings(device=self.recorded.device),
            alphas={},
        )
        return records_of(work, Judged(self.findings), 0.0)


def _from_run(target: str) -> Recorded:
    folder, sign, name = target.rpartition("#")
    if not sign or not folder or not name:
        raise ReplayError(f"{target!r} does not name a verdict; give RUN#ID, or a record or a spec as JSON")
    found = {record.id: record for record in RunFolder.open(Path(folder)).records()}
    if name not in found:
        raise ReplayError(
            f"{folder} has no verdict {name!r}; it has {len(found)}, such as {next(iter(found), '-')}"
        )
    return _of_record(found[name])


def _from_json(text: str) -> Recorded:
    try:
        values = json.loads(text)
        if "verdict" in values:
            return _of_record(records.decode(text))
        subject = {"example": values["example"]} if "example" in values else values["subject"]
        return Recorded(
            claim=values["claim"],
            subject=subject,
            unit_seed=int(values.get("unit_seed", 0)),
            device=str(values.get("device", "cpu")),
            false_fail=float(values.get("false_fail", 0.0)),
            false_pass=float(values.get("false_pass", 0.0)),
            optimizer=str(values.get("optimizer", "")),
            args=dict(values.get("args", {})),
        )
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise ReplayError(
            f"not a record or a spec ({type(error).__name__}: {error}); it needs "
            '{"claim": ..., "example": ...} or {"claim": ..., "subject": ..., "unit_seed": ...}'
        ) from error


def _judge_with(recorded: Recorded) -> Callable[[dict[str, Any], Context], Judged]:
    law = laws().get(recorded.claim)
    if law is None or not law.takes_optimizer:
        able = ", ".join(name for name, law in laws().items() if law.takes_optimizer)
        raise ReplayError(f"claim {recorded.claim!r} does not judge an optimizer; those that do are {able}")
    named = {"optimizer": recorded.optimizer, **({"args": recorded.args} if recorded.args else {})}
    return law.of(load_target(recorded.optimizer, recorded.args), named).claim().judge


def _with_named_data(value: Any) -> Any:
    """Return a spec with the data that the caller named. Raises ``ReplayError`` if none are named."""
    if isinstance(value, list):
        return [_with_named_data(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_named_data(item) for key, item in value.items()}
    data = next((known for known in USER_DATA if found.get("kind") in known.kinds), None)
    if data is None and isinstance(found.get("folder"), str):
        data = CIFAR10  # A folder of an unknown kind is not taken from a file either.
    recorded = None if data is None else found.get(data.field)
    if data is not None and isinstance(recorded, str) and recorded:
        named = data.named()
        if named is None:
            raise ReplayError(
                f"the spec was judged on the {data.called} {recorded!r}, and no path is taken from a file; "
                f"name your {data.called} with {data.option} or {data.variable}"
            )
        found[data.field] = str(named)
    return found


def _of_record(record: Record) -> Recorded:
    try:
        seed = int(record.unit[-16:], 16)
    except ValueError as error:
        raise ReplayError(f"the record {record.id!r} is damaged: unit {record.unit!r} has no seed") from error
    return Recorded(
        claim=record.claim,
        subject=record.subject,
        unit_seed=seed,
        device=record.device,
        false_fail=record.false_fail,
        false_pass=record.false_pass,
        record=record,
    )
