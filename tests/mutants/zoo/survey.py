"""The gate on other people's packages: what it says, to be confirmed by hand before anybody is told.

    PYTHONPATH=tests/mutants:FOLDER python -m zoo.survey [PATTERN] [--json FILE] [--markdown FILE]

FOLDER holds the packages (``pip install --no-deps --target FOLDER ...``), so that none of them replaces torch
or enters the project's environment; a package that is not there is passed over. PATTERN picks targets.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import inspect
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

import ilr_check

from .judging import DEAR, exact_laws, world_restored
from .records import Factory
from .survey_targets import TARGETS, Target

SEVERITIES = ("defect", "fragility", "departure")
CHEAP = ",".join(law for law in exact_laws() if law not in DEAR)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of one target: the laws it breaks, with every sentence and figure."""

    target: str
    version: str
    contract: str
    verdict: str
    """That of the gate: ``violated`` where there is a defect."""
    severest: dict[str, str]
    """Each law that it breaks, with the severest of its findings."""
    violated: dict[str, list[str]]
    erring: dict[str, list[str]]
    skipped: list[str]
    seconds: float
    trouble: str = ""


def _with_a_rate(factory: Factory) -> Factory:
    """The same, with an lr where its signature leaves that to its user."""
    lr = inspect.signature(factory).parameters.get("lr")
    return partial(factory, lr=0.1) if lr is not None and lr.default is lr.empty else factory


def judge_target(target: Target) -> Said | None:
    """Run the gate on one target; ``None`` where its package is not installed."""
    module, _, name = target.path.partition(":")
    began = time.perf_counter()
    trouble, verdict, findings = "", "error", ()
    try:
        version = importlib.metadata.version(target.package)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            factory = _with_a_rate(getattr(importlib.import_module(module), name))
    except ImportError:
        return None
    with world_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = ilr_check.check_optimizer(
                factory, contract=target.contract, claims=CHEAP, args=target.args, declare=target.declare
            )
            verdict, findings = result.verdict, result.findings
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}"
    told: dict[str, dict[str, list[str]]] = {"violated": {}, "error": {}}
    severest: dict[str, str] = {}
    for finding in findings:
        if finding.verdict == "violated":
            so_far = severest.get(finding.claim, finding.severity)
            severest[finding.claim] = min(so_far, finding.severity, key=SEVERITIES.index)
        if finding.verdict in told:
            sentence = f"[{finding.group}] {finding.diagnosis} | {finding.message}"
            told[finding.verdict].setdefault(finding.claim, []).append(sentence)
    return Said(
        target=target.path,
        version=f"{target.package} {version}",
        contract=target.contract,
        verdict=verdict,
        severest=severest,
        violated=told["violated"],
        erring=told["error"],
        skipped=sorted({f.claim for f in findings if f.verdict == "skipped"}),
        seconds=time.perf_counter() - began,
        trouble=trouble,
    )


def main() -> None:
    """Judge every installed target and print a row for each."""
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("pattern", nargs="?", default="")
    reader.add_argument("--json", type=Path)
    reader.add_argument("--markdown", type=Path)
    asked = reader.parse_args()
    rows = []
    for target in (t for t in TARGETS if asked.pattern in t.path):
        said = judge_target(target)
        if said is None:
            print(f"{target.path}: not installed")
            continue
        rows.append(said)
        print(f"{said.target} ({said.version}, {said.contract}): {said.verdict} {said.trouble}")
        for law, sentences in {**said.violated, **said.erring}.items():
            print(f"    {law}: " + "\n        ".join(sentences[:4]), flush=True)
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    if asked.markdown is not None:
        asked.markdown.write_text("\n".join(table(rows)) + "\n", encoding="utf-8")


def table(rows: Sequence[Said]) -> Iterator[str]:
    """Yield the lines of a table with one row for each target."""
    yield "| optimizer | version | contract | verdict | defects | fragilities and departures |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for said in rows:
        defects = [f"`{law}`" for law, severity in said.severest.items() if severity == "defect"]
        milder = [law for law, severity in said.severest.items() if severity != "defect"]
        name, version = said.target.replace(":", "."), said.version.rpartition(" ")[2]
        told = ", ".join(defects) or (said.trouble.partition(";")[0] if said.verdict == "error" else "")
        yield f"| `{name}` | {version} | {said.contract} | {said.verdict} | {told} | {', '.join(milder)} |"


if __name__ == "__main__":
    main()
