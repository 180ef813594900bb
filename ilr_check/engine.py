"""The engine plans claims, judges their units, writes the evidence and sends events to a listener. It does
not know any reporter."""

from __future__ import annotations

import contextlib
import itertools
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from ilr_check.claims import catalogue
from ilr_check.claims.claim import Claim, Context, Finding, Judged, Unit
from ilr_check.claims.pricing import Price, prices
from ilr_check.evidence import Manifest, Margin, Measured, PlannedUnit, Record, RunFolder
from ilr_check.evidence.lock import locked
from ilr_check.evidence.manifest import (
    command_line,
    current_commit,
    current_hardware,
    current_versions,
)
from ilr_check.evidence.replay_line import replay_line
from ilr_check.evidence.run_folder import RunFolderError
from ilr_check.executors import Dispatch, Executor, WorkerError, WorkersKilled
from ilr_check.planning import Settings, Work, plan, spent
from ilr_check.stats import ErrorBudget
from ilr_check.train.determinism import checked_device, reproducible
from ilr_check.train.threads import thread_count, threads
from ilr_check.train.world import World


@dataclass(frozen=True)
class CostPredicted:
    """The cost of the planned units that take hours. ``others`` units are cheap and have no price."""

    prices: tuple[Price, ...]
    others: int


@dataclass(frozen=True)
class RunStarted:
    """A run begins or continues. ``done`` of its ``total`` units are already finished."""

    folder: RunFolder
    manifest: Manifest
    total: int
    done: int


@dataclass(frozen=True)
class UnitStarted:
    """Unit ``number`` (from 1) of ``total`` begins."""

    title: str
    number: int
    total: int


@dataclass(frozen=True)
class UnitProgress:
    """The progress of the present unit, in [0, 1]."""

    fraction: float


@dataclass(frozen=True)
class UnitFinished:
    """A unit is judged and its records are on the disk."""

    title: str
    records: tuple[Record, ...]
    seconds: float


Event = CostPredicted | RunStarted | UnitStarted | UnitProgress | UnitFinished
Listener = Callable[[Event], None]


def perform(work: Work, progress: Callable[[float], None] = lambda fraction: None) -> tuple[Judged, float]:
    """Judge one unit. A claim that raises gives an ``error`` verdict and does not end the run."""
    started = time.perf_counter()
    context = Context(
        seed=work.seed,
        profile=work.settings.profile,
        device=work.settings.device,
        alphas=work.alphas,
        false_pass=work.false_pass,
        progress=progress,
        world=work.world,
    )
    try:
        with reproducible(context.device), threads(threads_of(work.unit.claim)):
            judged = catalogue()[work.unit.claim].judge(work.unit.subject, context)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        judged = Judged(
            (
                Finding(
                    form="exact",
                    group=work.unit.title,
                    subject=work.unit.subject,
                    verdict="error",
                    quantity="",
                    measured=Measured(value=None),
                    expected=None,
                    margin=Margin(),
                    message=f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})",
                ),
            )
        )
    return judged, time.perf_counter() - started


def records_of(
    work: Work, judged: Judged, seconds: float, *, judged_with: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Record, ...]:
    """Return the records of a judged unit. Their ids are the same in every run with the same settings.

    ``judged_with`` is what a replay needs in addition to the example, if an optimizer other than torch's SGD
    was judged.
    """
    claim = catalogue()[work.unit.claim]
    found = []
    for number, finding in enumerate(judged.findings):
        name = f"{work.unit.claim}.{work.key[-16:-8]}.{number}"
        found.append(
            Record(
                id=name,
                claim=work.unit.claim,
                kind=claim.text.kind,  # type: ignore[arg-type]
                seed=work.settings.seed,
                device=work.settings.device,
                seconds=round(seconds, 3),
                replay=replay_line(_spec(work, finding) | dict(judged_with)),
                unit=work.key,
                unit_size=len(judged.findings),
                **{field: getattr(finding, field) for field in Finding.__dataclass_fields__},
            )
        )
    return tuple(found)


def _spec(work: Work, finding: Finding) -> dict[str, Any]:
    """Return everything that is needed to judge a finding again without the run folder.

    This is the spec, the seed, and alpha, the probability of a false ``violated``.
    """
    spec: dict[str, Any] = {"claim": work.unit.claim}
    if "example" in finding.subject:
        spec["example"] = finding.subject["example"]
    else:
        spec |= {"subject": work.unit.subject, "unit_seed": work.seed}
        if finding.false_fail:
            spec |= {"false_fail": finding.false_fail, "false_pass": finding.false_pass}
        if work.settings.device != "cpu":
            spec["device"] = work.settings.device
    if work.settings.world:
        spec["world"] = work.settings.world
    return spec


def settings_of(resume: Path) -> Settings:
    """Return the settings with which a run folder was begun. Raises ``RunFolderError``."""
    try:
        return msgspec.convert(RunFolder.open(resume).manifest().settings, type=Settings, strict=True)
    except msgspec.ValidationError as error:
        raise RunFolderError(
            f"the settings in {resume} are damaged ({error}); run the command again"
        ) from error


def predict(
    settings: Settings, resume: Path | None = None, executor: Executor | None = None
) -> CostPredicted:
    """Return the cost of the planned units that ``resume`` has not finished. A few steps are timed, by
    ``executor`` if there is one."""
    finished = {record.unit for record in RunFolder.open(resume).records()} if resume else set()
    units = [work.unit for work in plan(settings)[1] if work.key not in finished]
    if executor is None:
        found = _priced(units, settings.device)
    else:
        dispatch = Dispatch()
        dispatch.send("the timing of a few steps", executor, _priced, units, settings.device)
        found = dispatch.receive()[1]
    return CostPredicted(found, len(units) - len(found))


def _priced(units: list[Unit], device: str) -> tuple[Price, ...]:
    with reproducible(checked_device(device)), threads():
        return prices(units, device)


def run(
    settings: Settings,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    listener: Listener = lambda event: None,
    executor: Executor | None = None,
    shared_executor: Executor | None = None,
    world: World | None = None,
) -> RunFolder:
    """Run or continue a verification, and return its folder.

    ``executor`` takes all units, and ``shared_executor`` those whose numbers it cannot change. A unit whose
    worker dies is done again. When this returns or raises, ``KeyboardInterrupt`` included, everything that
    was judged is on the disk. Raises ``RunFolderError`` for a folder that cannot be used and for workers that
    cannot work, and ``ValueError`` for settings that make no sense.
    """
    if resume is not None:
        settings, path = settings_of(resume), resume
    claims, works, budget = plan(settings, world)
    manifest = _manifest(settings, claims, works, budget)
    if resume is None:
        path = default_folder(manifest) if out is None else _made(out)
    kept: tuple[Record, ...] = ()
    with locked(path):
        if resume is None:
            folder = RunFolder.create(path, manifest)
        else:
            folder, manifest, kept = _continued(path, manifest)
        _judge_all(folder, manifest, kept, works, budget, listener, executor, shared_executor)
    return folder


def _made(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(
            f"cannot write to {path} ({error.strerror or error}); choose a writable folder with --out"
        ) from error
    return path


def _continued(path: Path, planned: Manifest) -> tuple[RunFolder, Manifest, tuple[Record, ...]]:
    """Return a run folder that continues, its manifest and its finished records. Raises ``RunFolderError``.

    A version that plans other units would mix two runs in one folder, so it is refused.
    """
    folder = RunFolder.open(path)
    manifest = folder.manifest()
    if [unit.key for unit in manifest.units] != [unit.key for unit in planned.units]:
        made = manifest.versions.get("ilr-check", "another version")
        raise RunFolderError(
            f"{path} was begun by ilr-check {made}, which planned other units than this one "
            f"({planned.versions['ilr-check']}); continue it with that version, or run the command again"
        )
    kept = folder.repair()
    manifest.status = "running"
    folder.write_manifest(manifest)
    return folder, manifest, kept


def _judge_all(
    folder: RunFolder,
    manifest: Manifest,
    kept: tuple[Record, ...],
    works: tuple[Work, ...],
    budget: ErrorBudget,
    listener: Listener,
    executor: Executor | None,
    shared_executor: Executor | None,
) -> None:
    started = time.perf_counter()
    finished = {record.unit for record in kept}
    listener(RunStarted(folder, manifest, len(works), len(finished)))
    elapsed_before = manifest.seconds
    status = "interrupted"
    dispatch = Dispatch()
    try:
        todo = {work.key: (n, work) for n, work in enumerate(works, start=1) if work.key not in finished}
        for key, (_, work) in todo.items():
            chosen = executor or (shared_executor if _may_share(work) else None)
            if chosen:
                dispatch.send(key, chosen, perform, work)

        def begin(key: str) -> None:
            number, work = todo[key]
            listener(UnitStarted(work.unit.title, number, len(works)))

        def keep(key: str, judged: Judged, seconds: float) -> None:
            if any(finding.verdict == "error" for finding in judged.findings):
                # Ctrl-C inside another library can appear as another error. The listener knows that Ctrl-C
                # was pressed and can stop the run here, before the error is recorded as the verdict.
                listener(UnitProgress(1.0))
            _, work = todo.pop(key)
            for figure in judged.figures:
                folder.save_figure(figure)
            new = records_of(work, judged, seconds)
            folder.append(new)
            listener(UnitFinished(work.unit.title, new, seconds))

        def collect() -> None:
            # They are collected as they come. A unit that waited for an earlier one would be lost with a
            # killed process.
            key, (judged, seconds) = dispatch.receive()
            begin(key)
            keep(key, judged, seconds)

        for key in [key for key in todo if key not in dispatch]:
            begin(key)
            keep(key, *perform(todo[key][1], lambda fraction: listener(UnitProgress(fraction))))
            while dispatch.some_done():
                collect()
        while todo:
            begin(next(iter(todo)))
            collect()
        status = "complete"
    except WorkerError as error:
        fewer = ", perhaps with fewer --jobs" if isinstance(error, WorkersKilled) else ""
        raise RunFolderError(
            f"{error}; what was finished is kept: continue with --resume {folder.path}{fewer}"
        ) from error
    finally:
        dispatch.cancel()
        if dispatch.machines:
            manifest.hardware["workers"] = "; ".join(sorted(dispatch.machines))
        manifest.status = status
        manifest.seconds = elapsed_before + time.perf_counter() - started
        manifest.budget = spent(budget, works, folder.records())
        folder.write_manifest(manifest)


def threads_of(claim: str) -> int | None:
    """Return the number of threads for the units of a claim, or ``None`` for the usual number.

    An exact claim has one thread, because the same seed must give the same bits.
    """
    return 1 if catalogue()[claim].text.kind == "exact" else None


def _may_share(work: Work) -> bool:
    """Return whether another process gives this unit the same numbers, and has room for it.

    Exact units always have one thread. On a CPU, the last bits of a fleet may depend on its number of
    threads, which is 1 in a worker. On a GPU they do not, but full-size nets need a large part of its memory.
    """
    if catalogue()[work.unit.claim].text.kind == "exact":
        return True
    if work.settings.device == "cpu":
        return thread_count() == 1
    return work.settings.profile != "paper"


def default_folder(manifest: Manifest) -> Path:
    """Make reports/runs/<time>-<profile>-<seed> below the working folder, with a number if it exists
    already."""
    stamp = manifest.created.replace(":", "").replace("-", "").partition(".")[0].partition("+")[0]
    name = f"{stamp}-{manifest.profile}-seed{manifest.seed}"
    parent = Path("reports") / "runs"
    _made(parent)
    for number in itertools.count(1):
        candidate = parent / (name if number == 1 else f"{name}-{number}")
        # It is made here and not only chosen, because a run that begins in the same second would choose it
        # too.
        with contextlib.suppress(FileExistsError):
            candidate.mkdir()
            return candidate
    raise AssertionError("there is always one more number")


def _manifest(
    settings: Settings, claims: tuple[Claim, ...], works: tuple[Work, ...], budget: ErrorBudget
) -> Manifest:
    return Manifest(
        command=command_line(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=settings.seed,
        profile=settings.profile,
        device=settings.device,
        settings=msgspec.to_builtins(settings),
        versions=current_versions(),
        hardware=current_hardware(),
        git=current_commit(),
        claims=tuple(claim.text for claim in claims),
        units=tuple(PlannedUnit(key=w.key, claim=w.unit.claim, title=w.unit.title) for w in works),
        budget=budget.as_dict(),
    )
