"""Reports what this machine has, and what does not work without each missing part."""

from __future__ import annotations

from importlib.util import find_spec

from ilr_check.data import cifar, mnist
from ilr_check.data import text as texts
from ilr_check.evidence.manifest import current_hardware, current_versions
from ilr_check.train.choice import explained
from ilr_check.train.compiling import NO_COMPILER, has_compiler
from ilr_check.train.threads import VARIABLE, threads

EXTRAS = {
    "plotly": "no `report --interactive`; to add it: pip install 'ilr-check[interactive]'",
    "xdist": "pytest runs in one process; for more: pip install pytest-xdist",
    "ray": "no `verify --executor ray`; to add it: pip install 'ilr-check[ray]'",
    "distributed": "no `verify --executor dask`; to add it: pip install 'ilr-check[dask]'",
    "submitit": "no `verify --executor submitit`; to add it: pip install 'ilr-check[submitit]'",
    "pytest_benchmark": "benchmarks cannot run; pip install pytest-benchmark",
}


def diagnose() -> list[tuple[str, str, str]]:
    """Return rows of (part, its state, what that means for the user)."""
    with threads() as count:
        hardware = current_hardware()
    rows = [(f"version of {name}", version, "") for name, version in current_versions().items()]
    rows.append(("cores", str(hardware["cores"]), ""))
    rows.append(
        ("threads", str(count), f"set {VARIABLE} to change it; two busy thread pools slow each other down")
    )
    gpu = hardware["gpu"]
    rows.append(("gpu", str(gpu or "none"), "" if gpu else "all training runs on the CPU"))
    compiler = has_compiler()
    rows.append(
        (
            "compiler",
            "found" if compiler else "none",
            explained() if compiler else NO_COMPILER,
        )
    )
    folder = cifar.named_folder()
    rows.append(
        (
            "CIFAR-10",
            str(folder or "not named"),
            "`ilr-check verify --profile paper --dry-run` predicts the cost of the full size here"
            if folder
            else f"set {cifar.VARIABLE} to its folder to run the claim larger-data and the profile paper",
        )
    )
    rows.append(
        (
            "MNIST",
            str(mnist.named_folder() or "not named"),
            f"set {mnist.VARIABLE} to the folder of its four IDX files to run larger-data on all of it",
        )
    )
    rows.append(
        (
            "text",
            str(texts.named_text() or "the sources of Python's library"),
            f"set {texts.VARIABLE} to a file or a folder to train language models on your own text",
        )
    )
    for module, cost in EXTRAS.items():
        here = find_spec(module) is not None
        rows.append((f"extra {module}", "found" if here else "absent", "" if here else cost))
    return rows
