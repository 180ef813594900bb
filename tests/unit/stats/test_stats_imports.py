"""What the statistics package may import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ilr_check.stats

FILES = sorted(Path(ilr_check.stats.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_module_imports_numpy_scipy_and_the_standard_library_only(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    allowed = {"numpy", "scipy", *sys.stdlib_module_names}
    foreign = {n for n in names if n.split(".")[0] not in allowed and not n.startswith("ilr_check.stats")}
    assert not foreign


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, ilr_check.stats; "
        "print([m for m in ('torch', 'scipy.stats', 'hypothesis', 'plotly', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
