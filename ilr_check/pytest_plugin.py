"""The pytest plugin: options, markers and settings; imports nothing heavy until a test asks for it."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from ilr_check.pytest_session import VerdictSession

PROFILES = ("quick", "standard", "nightly")
DEVICES = ("auto", "cpu", "cuda")
TORCH_SGD = "torch.optim.SGD"


@dataclass(frozen=True)
class PluginSettings:
    """What the options of a session come to, after the environment and pyproject.toml."""

    profile: Literal["quick", "standard", "nightly"] = "quick"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    allow_inconclusive: bool = False
    report: Path | None = None
    optimizer: str = ""
    contract: str = "auto"
    args: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        args = "".join(f" {name}={value!r}" for name, value in self.args)
        contract = f" (contract {self.contract})" if self.optimizer else ""
        return (
            f"profile {self.profile}, device {self.device}, seed {self.seed}, "
            f"optimizer {self.optimizer or TORCH_SGD}{args}{contract}, "
            f"inconclusive {'passes' if self.allow_inconclusive else 'fails'}, "
            f"report {self.report or 'none'}"
        )


SETTINGS = pytest.StashKey[PluginSettings]()
SESSION = pytest.StashKey["VerdictSession"]()
VERDICTS = pytest.StashKey[Path]()
"""The folder in which each process of a session leaves its verdicts, one run folder a process."""
NOTICE = pytest.StashKey[str]()
"""What became of the report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all with the prefix --ilr-."""
    group = parser.getgroup("ilr", "ilr-check: laws of the intrinsic learning rate")
    group.addoption(
        "--ilr-profile",
        metavar="|".join(PROFILES),
        type=_one_of(PROFILES),
        help="How many examples, runs and nets [quick].",
    )
    group.addoption(
        "--ilr-device",
        metavar="|".join(DEVICES),
        type=_one_of(DEVICES),
        help="Where statistical claims are trained; exact ones always run on the CPU [auto].",
    )
    group.addoption("--ilr-seed", metavar="N", type=_seed, help="Decides every random number [0].")
    group.addoption(
        "--ilr-allow-inconclusive",
        action="store_true",
        help="Pass a statistical claim that stayed open; without it an open verdict fails.",
    )
    group.addoption(
        "--ilr-report",
        metavar="FILE",
        type=_report_file,
        help="Write an HTML report of the verdicts judged in this session.",
    )
    group.addoption(
        "--ilr-optimizer",
        metavar="TARGET",
        help=f"Judge package.module:Name or path/file.py:Name by the exact laws, not {TORCH_SGD}: "
        "a torch.optim.Optimizer class, or a factory called as factory(params, **hyper).",
    )
    group.addoption(
        "--ilr-contract",
        metavar="NAME|auto",
        help="The family of the optimizer, by whose contract the gate's exact laws judge it; auto finds it "
        "by measurement [auto].",
    )
    group.addoption(
        "--ilr-arg",
        metavar="K=V",
        action="append",
        type=_argument,
        default=[],
        help="An argument for the optimizer, such as eps=1e-8; may be repeated.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and settle the settings; raises ``UsageError`` for what cannot be used."""
    for line in (
        "claim(id): judges this claim of the catalogue (ilr-check claims lists them)",
        "exact: algebra against a derived rounding bound; no probability is involved",
        "statistical: independent training runs, decided once, with its share of the error budget",
    ):
        config.addinivalue_line("markers", line)
    try:
        settings = _settled(config)
        if settings.device == "cuda":
            from ilr_check.api import checked_device

            checked_device("cuda")
        if settings.optimizer:
            from ilr_check.optim.target import load_target

            load_target(settings.optimizer, dict(settings.args), varied=())
            if settings.contract != "auto":
                from ilr_check.optim.contracts import contract_named

                contract_named(settings.contract)
    except ValueError as error:
        raise pytest.UsageError(f"ilr-check: {error}") from error
    config.stash[SETTINGS] = settings
    if settings.report is not None:
        handed = getattr(config, "workerinput", {}).get("ilr_verdicts")
        config.stash[VERDICTS] = Path(handed or tempfile.mkdtemp(prefix="ilr-check-"))


def pytest_report_header(config: pytest.Config) -> str:
    """Show the effective settings."""
    return f"ilr-check: {config.stash[SETTINGS]}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where to leave its verdicts."""
    if VERDICTS in node.config.stash:
        node.workerinput["ilr_verdicts"] = str(node.config.stash[VERDICTS])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, in the process that leads the session."""
    config = session.config
    settings = config.stash[SETTINGS]
    if settings.report is not None and not hasattr(config, "workerinput"):
        from ilr_check.pytest_verdicts import write_session_report

        config.stash[NOTICE] = write_session_report(config.stash[VERDICTS], settings)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the report is."""
    if NOTICE in config.stash:
        terminalreporter.write_line(f"ilr-check: {config.stash[NOTICE]}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was collected for the report."""
    if VERDICTS in config.stash and not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[VERDICTS], ignore_errors=True)


@pytest.fixture(scope="session")
def ilr_session(request: pytest.FixtureRequest) -> VerdictSession:
    """Judges claims under this session's settings and keeps the verdicts."""
    return session_of(request.config)


@pytest.fixture
def ilr_property(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Keeps a property of the test for JUnit XML.

    pytest's ``record_property`` does the same, but warns under the default family of ``--junitxml``, xunit2,
    and so fails every test where warnings are errors.
    """
    return lambda name, value: request.node.user_properties.append((name, value))


def session_of(config: pytest.Config) -> VerdictSession:
    """The same, for hooks that run before any fixture."""
    from ilr_check.pytest_session import VerdictSession

    if SESSION not in config.stash:
        config.stash[SESSION] = VerdictSession(
            config.stash[SETTINGS],
            verdicts=config.stash.get(VERDICTS, None),
            worker=getattr(config, "workerinput", {}).get("workerid", "main"),
        )
    return config.stash[SESSION]


def _settled(config: pytest.Config) -> PluginSettings:
    option = config.option
    found = dict(_outside(config.rootpath))
    for name in ("profile", "device", "seed", "contract"):
        given = getattr(option, f"ilr_{name}")
        if given is not None:
            found[name] = given
    if option.ilr_arg and not option.ilr_optimizer:
        raise ValueError(
            f"--ilr-arg {option.ilr_arg[0][0]} has no optimizer to go to; add --ilr-optimizer TARGET"
        )
    if option.ilr_contract and not option.ilr_optimizer:
        raise ValueError(
            f"--ilr-contract {option.ilr_contract} has no optimizer to judge; add --ilr-optimizer TARGET"
        )
    return PluginSettings(
        **found,
        allow_inconclusive=option.ilr_allow_inconclusive,
        report=option.ilr_report,
        optimizer=option.ilr_optimizer or "",
        args=tuple(option.ilr_arg),
    )


def _outside(rootpath: Path) -> Iterator[tuple[str, Any]]:
    """Settings from pyproject.toml, then from the environment, each checked as an option would be."""
    from ilr_check.settings import PREFIX, from_toml

    checks = {"profile": _one_of(PROFILES), "device": _one_of(DEVICES), "seed": _seed, "contract": str}
    table = from_toml(rootpath)
    for name, check in checks.items():
        variable = PREFIX + name.upper()
        for where, value in (("[tool.ilr_check]", table.get(name)), (variable, os.environ.get(variable))):
            if value is None:
                continue
            try:
                yield name, check(str(value))
            except argparse.ArgumentTypeError as error:
                raise ValueError(f"{name} of {where}: {error}") from error


def _one_of(allowed: tuple[str, ...]) -> Any:
    def parse(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"{text!r} is not known; choose one of {', '.join(allowed)}")
        return text

    return parse


def _seed(text: str) -> int:
    from ilr_check.seeds import MAX_SEED

    if not text.isdecimal() or not int(text) <= MAX_SEED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is out of range; give a whole number from 0 to {MAX_SEED}"
        )
    return int(text)


def _report_file(text: str) -> Path:
    path = Path(text).absolute()
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written; name a file in a folder that exists")
    return path


def _argument(text: str) -> tuple[str, Any]:
    from ilr_check.optim.arguments import parse_argument

    try:
        return parse_argument(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
