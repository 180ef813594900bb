"""The import rule of ARCHITECTURE.md, and that a bare import stays light."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ilr_check
from ilr_check import claims
from ilr_check.claims.claim import Claim

PACKAGE = Path(ilr_check.__file__).parent
DOCUMENT = PACKAGE.parent / "ARCHITECTURE.md"

# Room to the rooms that it may import beside itself, in the order in which data passes through them.
RULE: dict[tuple[str, ...], set[str]] = {
    ("theory",): set(),
    ("seeds",): set(),
    ("spelling",): set(),
    ("plugins",): set(),
    ("nets",): {"seeds"},
    ("data",): {"seeds", "plugins"},
    ("optim",): {"seeds", "spelling", "plugins"},
    ("train",): {"nets", "data", "optim", "seeds"},
    ("stats",): set(),
    ("evidence",): set(),
    ("strategies",): {"nets", "optim"},
    ("claims",): {"theory", "seeds", "nets", "data", "optim", "train", "stats", "evidence", "strategies"}
    | {"spelling", "plugins"},
    ("workers",): set(),
    ("engine",): {"claims", "evidence", "stats", "train", "seeds"},
    ("gate",): {"theory", "seeds", "nets", "data", "optim", "train", "stats", "evidence", "strategies"}
    | {"claims", "spelling", "plugins"},
    ("questions",): set(),
    ("reporting",): {"evidence", "questions"},
    ("bench",): {"nets", "data", "optim", "train", "seeds", "evidence", "claims"},
}
FACES = ("api", "replaying", "settings", "doctor", "symmetries")
EDGES = ("cli", "commands", "pytest_plugin", "pytest_session", "pytest_gate", "pytest_verdicts")
INNER = {room for rooms in RULE for room in rooms}
RULE |= {FACES: set(INNER), EDGES: INNER | set(FACES)}
# The package's table of contents names the Python face; `python -m ilr_check` is the command line.
ROOTS = {"__init__": {"api", "claims", "data"}, "__main__": {"cli"}}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
CLAIM_MODULES = [
    ".".join(path.relative_to(PACKAGE / "claims").with_suffix("").parts)
    for path in sorted((PACKAGE / "claims").rglob("*.py"))
    if re.search(r"^CLAIM\b", path.read_text(encoding="utf-8"), re.MULTILINE)
]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def allowed(room: str) -> set[str]:
    """What a room may import; itself and the files beside it included."""
    if room in ROOTS:
        return ROOTS[room]
    return next(set(rooms) | others for rooms, others in RULE.items() if room in rooms)


def modules_imported(nodes: list[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that the rule can be read off them"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "ilr_check" else {module}
    return found


def rooms_imported(path: Path) -> set[str]:
    """Rooms that a file imports anywhere, functions and TYPE_CHECKING blocks included."""
    names = modules_imported(list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
    return {name.split(".")[1] for name in names if name.startswith("ilr_check.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    assert rooms_imported(path) - allowed(room_of(path)) == set()


def test_the_rule_knows_every_room() -> None:
    listed = {room for rooms in RULE for room in rooms} | set(ROOTS)
    assert {room_of(path) for path in FILES} == listed


def test_no_room_imports_one_that_comes_later() -> None:
    position = {room: number for number, rooms in enumerate(RULE) for room in rooms}
    late = [(rooms, r) for rooms, may in RULE.items() for r in may if position[r] >= position[rooms[0]]]
    assert late == []


def documented() -> dict[tuple[str, ...], set[str]]:
    """The table of ARCHITECTURE.md."""
    table: dict[tuple[str, ...], set[str]] = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not cells[0].startswith("`"):
            continue
        rooms = tuple(re.findall(r"`(\w+)(?:/|\.py)`", cells[0]))
        before = {room for earlier in table for room in earlier}
        table[rooms] = before if cells[2] == "all of the above" else set(re.findall(r"`(\w+)`", cells[2]))
    return table


def test_the_document_states_this_rule() -> None:
    assert documented() == RULE


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ilr_check", ["torch", "hypothesis", "plotly", "scipy.stats", "sklearn", "msgspec"]),
        ("ilr_check.cli", ["torch", "hypothesis", "plotly", "scipy.stats", "sklearn"]),
        ("ilr_check.pytest_plugin", ["torch", "plotly", "scipy.stats", "sklearn"]),
        ("ilr_check.claims", ["hypothesis", "plotly", "sklearn"]),
    ],
)
def test_an_import_stays_light(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "claims").rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_claims_import_hypothesis_only_where_they_search(path: Path) -> None:
    top = modules_imported(list(ast.parse(path.read_text(encoding="utf-8")).body))
    assert {name for name in top if name.startswith(("hypothesis", "ilr_check.strategies"))} == set()


def test_there_are_claims() -> None:
    assert len(CLAIM_MODULES) >= 5


@pytest.mark.parametrize("name", CLAIM_MODULES)
def test_a_claim_has_its_files_name_and_rivals_and_says_what_it_means_and_cannot_see(name: str) -> None:
    claim = importlib.import_module(f"ilr_check.claims.{name}").CLAIM
    assert isinstance(claim, Claim)
    assert claim.id == name.rpartition(".")[2].replace("_", "-")
    assert len(set(claim.text.rivals)) == len(claim.text.rivals) >= 1
    text = claim.text
    assert min(map(len, (text.statement, text.equation, text.source, text.meaning, text.blind))) > 5
    assert claim.text.chapter in claims.GROUPS


def test_the_catalogue_has_every_claim() -> None:
    assert set(claims.catalogue()) == {name.rpartition(".")[2].replace("_", "-") for name in CLAIM_MODULES}
