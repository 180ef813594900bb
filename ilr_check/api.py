"""The Python functions behind the commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilr_check import engine
from ilr_check.claims import select
from ilr_check.claims.claim import Profile
from ilr_check.claims.pricing import check_affordable
from ilr_check.claims.settings import full_size
from ilr_check.data import cifar
from ilr_check.data import mnist as idx
from ilr_check.data import text as texts
from ilr_check.data.named_paths import CIFAR10, MNIST, TEXT, naming_all
from ilr_check.engine import CostPredicted, Listener
from ilr_check.evidence import Record, RunFolder
from ilr_check.evidence.exit_codes import exit_code
from ilr_check.executors import Executor, opened, remote
from ilr_check.gate.cases import parametrize_with_laws
from ilr_check.gate.check import check_optimizer
from ilr_check.gate.fingerprint import Fingerprint
from ilr_check.gate.measurement import measure
from ilr_check.gate.options import GateOptions
from ilr_check.gate.process.surroundings import Watch
from ilr_check.gate.result import GateResult
from ilr_check.gate.subjects import subject_of
from ilr_check.planning import Settings
from ilr_check.reporting import write_report
from ilr_check.seeds import checked_seed
from ilr_check.train.determinism import checked_device
from ilr_check.train.threads import threads
from ilr_check.train.world import World, named_world, world_of

__all__ = [
    "PROFILES",
    "Fingerprint",
    "GateResult",
    "Run",
    "check_optimizer",
    "checked",
    "checked_device",
    "fingerprint",
    "parametrize_with_laws",
    "predict",
    "verify",
]

PROFILES = ("quick", "standard", "paper", "nightly")


@dataclass(frozen=True)
class Run:
    """A finished verification."""

    folder: RunFolder

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def records(self) -> tuple[Record, ...]:
        """All verdicts, in planned order."""
        return self.folder.records()

    @property
    def exit_code(self) -> int:
        """The exit code: 0 if all hold, 1 if one is violated, 2 for an error, 3 if one is inconclusive."""
        return exit_code(self.records)

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"


def verify(
    *,
    profile: str = "quick",
    claims: str = "core",
    seed: int = 0,
    device: str = "auto",
    out: Path | str | None = None,
    resume: Path | str | None = None,
    cifar10: Path | str | None = None,
    mnist: Path | str | None = None,
    text: Path | str | None = None,
    world: Any = None,
    executor: Executor | str | None = None,
    jobs: int | None = 1,
    listener: Listener = lambda event: None,
) -> Run:
    """Judge claims of the paper on generated nets and on real data. Return the run, with its report written.

    ``cifar10`` is a folder with CIFAR-10, for the claims that can use it. Without it, the environment
    variable ILR_CHECK_CIFAR10 names one. A resumed run needs it again. The profile ``paper`` must have one.
    It reads all its files and tells the listener what the units in full size will cost. It refuses them if a
    CPU would take more than a day.

    ``mnist`` is a folder with the four IDX files of MNIST, for ``larger-data``, or ILR_CHECK_MNIST names one.

    ``text`` is a file or a folder of text for the claims about language models, or ILR_CHECK_TEXT names one.
    Without it they read the sources of Python's library. A record has the digest of what was read.

    ``world`` is a TARGET or an object that states how the trainings depart from plain training; see
    ``ilr_check.train.world``. The report names it.

    ``executor`` is anything with ``submit(fn, *args)``, and takes all units as plain values. Or it is a name
    as for ``verify --executor``, such as ``"dask"`` or ``"submitit:cluster=local"``. ``jobs`` is the number
    of processes that share the units, here or in the named executor. Each process imports your main module
    again, so that module must be safe to import. ``None`` decides from the work. Verdicts do not depend on
    either. Without an executor, if fleets have several threads on a CPU, only exact units are shared.

    Raises ``ValueError`` for a setting out of range, and ``RunFolderError`` for a folder that cannot be used.
    """
    elsewhere = remote(executor)
    settings = checked(profile=profile, claims=claims, seed=seed, device=device, elsewhere=elsewhere)
    entered, settings = _enter(world, settings)
    if cifar10 is not None:
        cifar.check(Path(cifar10))
    if mnist is not None:
        idx.check(Path(mnist))
    if text is not None:
        texts.files(str(text))
    going_on = None if resume is None else Path(resume)
    begun = settings if going_on is None else _begun_settings(going_on, elsewhere)
    if begun.world != settings.world:
        raise ValueError(
            f"the run in {going_on} was started with --world {begun.world!r}, and this command has "
            f"--world {settings.world!r}; give the same world"
        )
    count = len(select(begun.claims))
    named = naming_all({CIFAR10: cifar10, MNIST: mnist, TEXT: text})
    with threads(), named, opened(executor, jobs, count, begun.device) as ready:
        if begun.profile == "paper":
            predicted = _predicted(begun, going_on, ready if elsewhere else None)
            listener(predicted)
            check_affordable(predicted.prices)
        folder = engine.run(
            settings,
            out=None if out is None else Path(out),
            resume=going_on,
            listener=listener,
            executor=ready if elsewhere else None,
            shared_executor=None if elsewhere else ready,
            world=entered,
        )
    write_report(folder)
    return Run(folder)


def _enter(world: Any, settings: Settings) -> tuple[World | None, Settings]:
    """Return the world that a TARGET or an object states, and the settings that name it."""
    if world is None:
        return None, settings
    entered = named_world(world) if isinstance(world, str) else world_of(world)
    return entered, dataclasses.replace(settings, world=entered.target or entered.name)


def predict(
    *,
    profile: str = "paper",
    claims: str = "core",
    seed: int = 0,
    device: str = "auto",
    resume: Path | str | None = None,
    cifar10: Path | str | None = None,
    mnist: Path | str | None = None,
    text: Path | str | None = None,
    executor: Executor | str | None = None,
) -> CostPredicted:
    """Predict the cost of the full-size units of ``verify`` with the same arguments. Only a few steps are
    timed, by the executor if it has workers elsewhere."""
    elsewhere = remote(executor)
    settings = checked(profile=profile, claims=claims, seed=seed, device=device, elsewhere=elsewhere)
    going_on = None if resume is None else Path(resume)
    begun = settings if going_on is None else _begun_settings(going_on, elsewhere)
    # One worker times the steps.
    chosen = executor if elsewhere else None
    named = naming_all({CIFAR10: cifar10, MNIST: mnist, TEXT: text})
    with threads(), named, opened(chosen, 1, 1, begun.device) as ready:
        return _predicted(begun, going_on, ready)


def _begun_settings(resume: Path, elsewhere: bool) -> Settings:
    """Return the settings of a run folder. Raises ``ValueError`` if this machine cannot continue with
    them."""
    begun = engine.settings_of(resume)
    return checked(
        profile=begun.profile,
        claims=begun.claims,
        seed=begun.seed,
        device=begun.device,
        elsewhere=elsewhere,
    )


def _predicted(settings: Settings, resume: Path | None, executor: Executor | None) -> CostPredicted:
    if settings.profile == "paper":
        folder = cifar.named_folder()
        if folder is None:
            raise ValueError(
                f"--profile paper trains on CIFAR-10: name its folder with --cifar10 or {cifar.VARIABLE}"
            )
        cifar.check_contents(folder, examples=full_size.RECIPE.per_file)
    return engine.predict(settings, resume, executor)


def fingerprint(
    factory: Callable[..., Any],
    *,
    args: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Fingerprint:
    """Measure how an optimizer scales, decays and remembers, and its equilibrium. Nothing is judged.

    Raises ``ValueError`` for a target that cannot be built.
    """
    subject, _ = subject_of(factory, GateOptions.of({"args": args, "names": names, "seed": seed}))
    watch = Watch()
    with threads(), watch.during("fingerprint"):
        return measure(subject, seed)


def checked(*, profile: str, claims: str, seed: int, device: str, elsewhere: bool = False) -> Settings:
    """Return validated settings. Each error names the value, the allowed values and the fix.

    ``elsewhere`` says that other machines judge the units, so ``cuda`` needs no GPU here.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is not known; choose one of {', '.join(PROFILES)}")
    checked_seed(seed)
    known: dict[str, Profile] = {
        "quick": "quick",
        "standard": "standard",
        "paper": "paper",
        "nightly": "nightly",
    }
    found = device if elsewhere and device == "cuda" else checked_device(device)
    return Settings(profile=known[profile], claims=claims, seed=seed, device=found)
