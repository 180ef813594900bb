"""The rules of ARCHITECTURE.md: which module may import which, no import cycle between files, and light
imports."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ilr_check
from ilr_check import claims
from ilr_check.claims.claim import Claim

PACKAGE = Path(ilr_check.__file__).parent
DOCUMENT = PACKAGE.parent / "ARCHITECTURE.md"
ROOTS = {"__init__": {"api", "claims", "data", "gate", "optim"}, "__main__": {"cli"}}
"""The package's table of contents names the Python face; ``python -m ilr_check`` is the command line."""


@cache
def trees() -> dict[str, ast.Module]:
    """Every file of the package, parsed once, by module name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(
            parts if parts == ("ilr_check", "__init__") else [p for p in parts if p != "__init__"]
        )
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """The modules that some statements import, by their full names; functions and type-only imports too."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {"ilr_check.__init__" if a.name == "ilr_check" else a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that the rule can be read off them"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in trees() else str(node.module) for name in names}
    return found


@cache
def imports() -> dict[str, set[str]]:
    """Module to the modules of this package that it imports anywhere."""
    return {name: imported(ast.walk(tree)) & {*trees()} - {name} for name, tree in trees().items()}


def room_of(module: str) -> str:
    return module.split(".")[1]


@cache
def rule() -> dict[tuple[str, ...], set[str]]:
    """The table of ARCHITECTURE.md: the rooms of a line to the rooms that they may import, themselves too."""
    table: dict[tuple[str, ...], set[str]] = {}
    above: set[str] = set()
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not cells[0].startswith("`"):
            continue
        rooms = tuple(re.findall(r"`(\w+)(?:/|\.py)`", cells[0]))
        named = set(above) if cells[2] == "all of the above" else set(re.findall(r"`(\w+)`", cells[2]))
        assert named <= above, f"{rooms} may import {named - above}, which stand below them"
        table[rooms] = named | set(rooms)
        above |= set(rooms)
    return table


def test_the_document_names_every_room_once() -> None:
    named = [room for rooms in rule() for room in rooms]
    found = {room_of(name) for name in trees() if name != "ilr_check"}
    assert sorted(named) == sorted(found - set(ROOTS))


def test_a_room_imports_only_what_stands_beside_it_in_the_document() -> None:
    may = {room: allowed for rooms, allowed in rule().items() for room in rooms} | ROOTS
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if room_of(other) not in may[room_of(module)]
    ]
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(imports()) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the files of one import cycle, in order, or nothing if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_of_type_only_imports_would_be_seen() -> None:
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ilr_check.stats.design import Design\n"
    )
    planted = imports() | {"ilr_check.stats.looks": imported(ast.walk(ast.parse(text)))}
    assert set(circle(planted)) >= {"ilr_check.stats.looks", "ilr_check.stats.design"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ilr_check", ["torch", "hypothesis", "plotly", "matplotlib", "scipy.stats", "sklearn", "msgspec"]),
        ("ilr_check.cli", ["torch", "hypothesis", "plotly", "matplotlib", "scipy.stats", "sklearn"]),
        ("ilr_check.plugin.entry", ["torch", "numpy", "hypothesis", "msgspec", "plotly", "scipy", "sklearn"]),
        ("ilr_check.claims", ["hypothesis", "plotly", "matplotlib", "sklearn"]),
    ],
)
def test_an_import_stays_light(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_claims_import_hypothesis_only_where_they_search() -> None:
    early = {
        name: {
            other for other in imported(tree.body) if other.startswith(("hypothesis", "ilr_check.strategies"))
        }
        for name, tree in trees().items()
        if name.startswith("ilr_check.claims")
    }
    assert {name: others for name, others in early.items() if others} == {}


def test_a_claim_has_its_files_name_and_rivals_and_says_what_it_means_and_cannot_see() -> None:
    rooms = tuple(f"ilr_check.claims.{chapter.replace('-', '_')}." for chapter in claims.CHAPTERS)
    declared = [name for name, tree in trees().items() if name.startswith(rooms) and declares(tree)]
    assert len(declared) >= 5
    for name in declared:
        claim = importlib.import_module(name).CLAIM
        assert isinstance(claim, Claim), name
        assert claim.id == name.rpartition(".")[2].replace("_", "-")
        text = claim.text
        assert len(set(text.rivals)) == len(text.rivals) >= 1, name
        assert min(map(len, (text.statement, text.equation, text.source, text.meaning, text.blind))) > 5, name
        assert text.chapter == name.split(".")[2].replace("_", "-"), name
    assert set(claims.catalogue()) == {name.rpartition(".")[2].replace("_", "-") for name in declared}


def declares(tree: ast.Module) -> bool:
    """Whether a module declares a claim."""
    return any("CLAIM" in ast.unparse(node).split("=")[0] for node in tree.body if isinstance(node, ASSIGNS))


ASSIGNS = (ast.Assign, ast.AnnAssign)
