"""pytest loads this module in every session: options, markers, two fixtures. It imports nothing heavy.

The rest of the plugin is loaded where an option --ilr-* was typed, or where the property files ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ilr_check.gate.option_words import IN_PYTEST, PAIRS, WORDS, flag_of
from ilr_check.plugin import settings
from ilr_check.plugin.settings import CLAIMS, DEVICES, PROFILES, TORCH_SGD

if TYPE_CHECKING:
    from ilr_check.plugin.session import VerdictSession

MARKERS = (
    "claim(id): judges this claim of the catalogue (ilr-check claims lists them)",
    "exact: algebra against a derived rounding bound; no probability is involved",
    "statistical: independent training runs, decided once, with its part of the error budget",
    "nightly: takes minutes; a session without -m judges it too",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all with the prefix --ilr-."""
    group = parser.getgroup("ilr", "ilr-check: laws of the intrinsic learning rate")
    group.addoption(
        "--ilr-profile",
        metavar="|".join(PROFILES),
        type=settings.one_of(PROFILES),
        help="How many examples, runs and nets [quick].",
    )
    group.addoption(
        "--ilr-claims",
        metavar="IDS",
        help=f"Claims and groups to judge, separated by commas; all is every claim [{CLAIMS}].",
    )
    group.addoption(
        "--ilr-examples",
        metavar="N",
        type=settings.examples,
        help="Generated examples for each exact law [the profile's number].",
    )
    group.addoption(
        "--ilr-device",
        metavar="|".join(DEVICES),
        type=settings.one_of(DEVICES),
        help="Where statistical claims are trained; exact ones always run on the CPU [auto].",
    )
    group.addoption("--ilr-seed", metavar="N", type=settings.seed, help="Decides every random number [0].")
    group.addoption(
        "--ilr-allow-inconclusive",
        action="store_true",
        help="Pass a statistical claim that stayed open; without it an open verdict fails.",
    )
    group.addoption(
        "--ilr-report",
        metavar="FILE",
        type=settings.report_file,
        help="Write an HTML report of the verdicts judged in this session.",
    )
    group.addoption(
        "--ilr-optimizer",
        metavar="TARGET",
        help=f"Judge package.module:Name or path/file.py:Name by the exact laws, not {TORCH_SGD}: "
        "a torch.optim.Optimizer class, or a factory called as factory(params, **hyper).",
    )
    group.addoption(
        "--ilr-world",
        metavar="TARGET",
        help="Judge trainings that depart from plain ones as this world states (see ilr_check.train.world).",
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
        type=settings.argument,
        default=[],
        help="An argument for the optimizer, such as eps=1e-8; may be repeated.",
    )
    for name in IN_PYTEST:
        more: dict[str, Any] = {"metavar": WORDS[name].metavar, "dest": f"ilr_{name}"}
        if name in PAIRS:
            more |= {"action": "append", "type": settings.argument, "default": []}
        group.addoption(f"--ilr-{flag_of(name)}", help=f"As ilr-check gate: {WORDS[name].help}", **more)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; load the rest of the plugin where one of its options was typed."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    typed = [value for name, value in vars(config.option).items() if name.startswith("ilr_")]
    if any(value is not None and value is not False and value != [] for value in typed):
        from ilr_check.plugin import hooks

        hooks.enter(config)


@pytest.fixture(scope="session")
def ilr_session(request: pytest.FixtureRequest) -> VerdictSession:
    """Judges claims under this session's settings and keeps the verdicts."""
    from ilr_check.plugin.session import session_of

    return session_of(request.config)


@pytest.fixture
def ilr_property(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Keeps a property of the test for JUnit XML.

    pytest's ``record_property`` does the same, but warns under the default family of ``--junitxml``, xunit2,
    and so fails every test where warnings are errors.
    """
    return lambda name, value: request.node.user_properties.append((name, value))
