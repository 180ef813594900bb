"""The kill matrix: every optimizer of the zoo against every exact law.

PYTHONPATH=tests/mutants python -m zoo.matrix              # judges all, writes docs/kill-matrix.{md,json}
PYTHONPATH=tests/mutants python -m zoo.matrix --new        # judges those alone that the matrix lacks
PYTHONPATH=tests/mutants python -m zoo.matrix DecayHalved  # these alone, with all that was said
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from .correct import VARIANTS
from .judging import DEAR, Judged, Row, exact_laws, has_contract, judge
from .mutants import MUTANTS
from .records import Mutant, Variant

DOCS = Path(__file__).parents[3] / "docs"
DATA, PAGE = DOCS / "kill-matrix.json", DOCS / "kill-matrix.md"
KEPT = {
    "descent": "it needs no contract, and it is the first question about an unknown optimizer",
    "zero-grad": "it names the cause by itself; what breaks it also breaks whole trainings",
    "decay-zero-gradient": "it gives the shortest reproduction of a wrong decay: one step without a gradient",
    "settings": "it needs no contract, and it names the setting that a step ignores",
    "decay-coupling": "it needs no reference implementation: it fits the powers of lr and wd",
    "decay-schedule": "it tells the lr of the decay from the lr of the step, which constant rates cannot",
    "zero-weights": "it needs no contract, and only it starts at zero; test_released_slips has what it finds",
    "options": "switches of the constructor beyond those of torch; test_released_slips has what it finds",
    "complex-weights": "no other law has complex weights; test_released_slips has what it finds",
    "zero-gradient": "it needs no contract, and the shortest reproduction of a NaN comes from it",
    "decay-orthogonal": "it reads decay as the radial part of a step that has a gradient",
    "decay-difference": "it needs no reference implementation: a step with decay against one without",
    "gradient-degree": "it needs no reference implementation: one exponent describes the update",
    "memory": "one gradient and then none: it names the form of the momentum by itself",
    "eps-placement": "gradients around eps: it names the place of eps by itself",
    "scaling-symmetry": "it is bitwise, needs no reference implementation and finds constants of fixed size",
    "mixed-dtypes": "parameters of several dtypes in one optimizer, as in mixed-precision training",
    "tensor-shapes": "it judges optimizers whose entries interact, which `alone` and `layouts` cannot",
    "schedulers": "the schedulers of torch.optim, as users run them",
    "step-count": "only it reaches long trainings; the mutations that it kills have a second symptom",
    "training-laws": "whole trainings, where gradients depend on the weights: chosen gradients do not",
}
"""Laws that kill nothing alone, and why they are kept."""
SURVIVORS = {
    "OldStateRaises": "no class says which options older states lack, and one that raises refuses them",
    "AdamWDecayRoundedAway": "one more rounding to 16 bits, which the bound for 16-bit weights allows for",
}
"""Mutations that no law of this tier kills, and why."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of mutants and of right variants, under the laws in the order in which they run."""

    laws: tuple[str, ...]
    mutants: tuple[Row, ...]
    variants: tuple[Row, ...]

    @property
    def killed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.mutants if row.killed_by)

    @property
    def unnamed(self) -> tuple[Row, ...]:
        """Mutations that are killed where no contract is named."""
        return tuple(row for row in self.mutants if row.unnamed)

    @property
    def named(self) -> tuple[Row, ...]:
        return tuple(row for row in self.killed if row.named)

    def kills(self, law: str) -> tuple[Row, ...]:
        return tuple(row for row in self.mutants if law in row.killed_by)

    def alone(self, law: str) -> tuple[Row, ...]:
        """Mutants that this law kills and no other."""
        return tuple(row for row in self.mutants if row.killed_by == (law,))


def committed() -> Matrix:
    """The matrix as it stands in the docs."""
    return msgspec.json.decode(DATA.read_bytes(), type=Matrix)


def measure(kept: Mapping[str, Row] | None = None) -> Matrix:
    """Judge the whole zoo in this process, but for the rows that are kept."""
    known = kept or {}

    def row(entry: Mutant | Variant) -> Row:
        return known.get(entry.name) or _said(judge(entry, unnamed=True)).row

    return Matrix(
        laws=exact_laws(),
        mutants=tuple(row(entry) for entry in MUTANTS.values() if has_contract(entry)),
        variants=tuple(row(entry) for entry in VARIANTS.values() if has_contract(entry)),
    )


def _said(judged: Judged) -> Judged:
    row = judged.row
    print(f"{row.name:32s} {row.contract:9s} {', '.join(row.killed_by) or '-'}", flush=True)
    return judged


def page(matrix: Matrix) -> str:
    """The matrix as Markdown."""
    killed = len(matrix.killed)
    named = len(matrix.named)
    first = sum(row.named_first for row in matrix.killed)
    asked = sum(row.unnamed is not None for row in matrix.mutants)
    alarms = sum(bool(row.unnamed) for row in matrix.variants)
    passing = sum(not row.killed_by and not row.erring for row in matrix.variants)
    lines = [
        "# Kill matrix",
        "",
        "Every mutation of `tests/mutants/zoo` is an optimizer with one planted defect. Every law of the",
        "exact tier judges it, under the contract of its family, and once more with no contract named.",
        "Every push judges a representative part (`tests/mutants/zoo/representative.py` has the rule);",
        "`pytest -m nightly tests/mutants/test_kill_matrix.py` judges all of it and holds this page to it;",
        "`PYTHONPATH=tests/mutants python -m zoo.matrix` writes the page anew.",
        "",
        f"- {killed} of {len(matrix.mutants)} mutations are killed with their contract named.",
        f"- With no contract named: {len(matrix.unnamed)} of {asked} that were judged so.",
        f"- {named} of these ({named / max(1, killed):.0%}) with a sentence that names what was planted, "
        f"{first} ({first / max(1, killed):.0%}) already in the first sentence. A sentence names it if it "
        "has words that were written beside the mutant.",
        f"- {passing} of {len(matrix.variants)} correct variants pass with their contract named; "
        f"{alarms} are accused with none named.",
        f"- `{', '.join(DEAR)}` trains whole nets: it is asked only of mutations that all other laws pass.",
        "",
        "## What each law kills",
        "",
        "| law | kills | kills that no other law makes |",
        "| --- | --- | --- |",
    ]
    for law in matrix.laws:
        alone = ", ".join(row.name for row in matrix.alone(law)) or f"none; kept: {KEPT.get(law, '')}"
        lines.append(f"| `{law}` | {len(matrix.kills(law))} | {alone} |")
    survivors = [row for row in matrix.mutants if not row.killed_by]
    if survivors:
        head = "| mutation | contract | planted | why it lives |"
        lines += ["", "## Survivors", "", head, "| --- | --- | --- | --- |"]
        for r in survivors:
            planted, reason = MUTANTS[r.name].planted, SURVIVORS.get(r.name, "")
            lines.append(f"| {r.name} | {r.contract} | {planted} | {reason} |")
    lines += [
        "",
        "## Mutations",
        "",
        "| mutation | contract | kind | planted | killed by | with no contract named | diagnosis |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in matrix.killed:
        mutant = MUTANTS[row.name]
        planted = mutant.planted + (f" ({mutant.thread})" if mutant.thread else "")
        laws = ", ".join(f"`{law}`" for law in row.killed_by)
        unnamed = "not judged" if row.unnamed is None else f"`{row.unnamed}`" if row.unnamed else "not killed"
        sentence = row.diagnosis if row.named else f"*not named:* {row.diagnosis}"
        cells = (row.name, row.contract, mutant.kind, planted, laws, unnamed, sentence)
        lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
    lines += [
        "",
        "## Correct variants",
        "",
        "| variant | contract | written | verdict |",
        "| --- | --- | --- | --- |",
    ]
    for row in matrix.variants:
        told = [f"`{law}`" for law in (*row.killed_by, *row.erring)]
        told += [f"`{row.unnamed}` with no contract named"] if row.unnamed else []
        verdict = ", ".join(told) or "passes"
        cells = (row.name, row.contract, VARIANTS[row.name].written, verdict)
        lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main(names: Sequence[str]) -> None:
    """Judge the named optimizers and say why, or all and write the page."""
    began = time.perf_counter()
    if names and names != ["--new"]:
        for name in names:
            judged = judge(MUTANTS[name] if name in MUTANTS else VARIANTS[name])
            row = judged.row
            print(f"{row.name} ({row.contract}): {row.verdicts}, named {row.named}")
            for where, sentence in judged.sentences:
                print(f"    {where}: {sentence}")
    else:
        kept = {}
        if names:
            before = committed()
            kept = {row.name: row for row in (*before.mutants, *before.variants)}
        matrix = measure(kept)
        DATA.write_bytes(msgspec.json.format(msgspec.json.encode(matrix), indent=1) + b"\n")
        PAGE.write_text(page(matrix), encoding="utf-8")
        print(f"{len(matrix.killed)}/{len(matrix.mutants)} killed, {len(matrix.named)} named")
        wrong = [row.name for row in matrix.variants if row.killed_by or row.erring]
        print(f"variants flagged: {', '.join(wrong) or 'none'}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
