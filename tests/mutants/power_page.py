"""The page docs/power.md, written from what ``power`` judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ilr_check.claims import soundness, statistical_laws


class Column(Protocol):
    """A claim, and the wrong worlds in which its statement is true, with the reasons."""

    @property
    def claim(self) -> str: ...
    @property
    def true_in(self) -> tuple[tuple[str, str], ...]: ...


INTRO = """# What the statistical claims can see

Each row is a training that departs from the theory in a stated way ([worlds](worlds.md)). The first row is
plain training. Each column is a statistical claim, for which one unit of `quick` stands. A cell says how the
law was judged, with the estimate of its worst decision: `holds`, **violated**, or open (`inconclusive`). A
dash says that the world changes nothing in these trainings. An empty cell was not judged. Step identities see
most of these worlds at once and are not counted here. Where one of them was violated, the cell has a dagger
(†). Where a premise failed, it has a double dagger (‡). [What a `holds` means](holds.md) has the premises of
all trainings; where one of them fails, no law holds, so that the number may lie well inside the margin.

`not held‡` is a training that was ended as soon as such a premise had failed for good. The cell has the step
at which this was certain, and the premise: *norm* (the norm after a step of SGD is not that of the rule),
*rule* (steps are not those of the rule), *along* (gradients have a part along the weights) or *power*
(gradients do not fall as 1/r). The rest was not trained. So the claim does not hold there, and the page does
not tell whether its own numbers would violate it.

    PYTHONPATH=tests/mutants python -m power --minutes 20

judges what is missing and writes this page. The seed is {seed}. A decision may be falsely violated with
probability 1e-5 and falsely hold with probability 1e-2.
"""

SIGNS = {
    "holds": "holds",
    "violated": "**violated**",
    "inconclusive": "open",
    "error": "*error*",
    "skipped": "–",
}


def render(
    cache: Mapping[str, Mapping[str, Any]], every: Sequence[Column], worlds: Sequence[str], seed: int
) -> str:
    """Return the page for what was judged: a claim, then a world, is mapped to a cell.

    The first world is the theory.
    """
    rows = [row for row in every if cache.get(row.claim)]
    lines = [
        INTRO.format(seed=seed),
        "| world | " + " | ".join(f"`{row.claim}`" for row in rows) + " |",
        "| --- |" + " --- |" * len(rows),
    ]
    for name in worlds:
        cells = [cell(cache[row.claim].get(name)) for row in rows]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    wrong_cells = [found for own in cache.values() for name, found in own.items() if name != worlds[0]]
    ended = sum(found["verdict"] == "not held" for found in wrong_cells)
    of = len(every) * (len(worlds) - 1)
    lines += [
        "",
        f"{len(wrong_cells)} of {of} cells of wrong worlds were judged. In {ended} of them the training was "
        "ended.",
    ]
    lines += ["", "## Wrong worlds in which a claim still holds", ""]
    for row in rows:
        excused = dict(row.true_in)
        names = worlds[1:]
        held = [name for name in names if cache[row.claim].get(name, {}).get("verdict") == "holds"]
        told = [f"{name} ({excused[name]})" if name in excused else name for name in held]
        judged = sum(name in cache[row.claim] for name in names)
        if judged:
            lines.append(f"- `{row.claim}`, of {judged} worlds: {'; '.join(told) or 'none'}.")
    absent = [name for name in statistical_laws() if not cache.get(name)]
    lines += [
        "",
        "## Not judged",
        "",
        f"{len(absent)} of {len(statistical_laws())} statistical claims have no column yet: "
        f"{', '.join(f'`{name}`' for name in absent)}.",
    ]
    short = {row.claim: len(worlds) - len(cache[row.claim]) for row in rows}
    gaps = [
        f"`{claim}` lacks {count} of {len(worlds) - 1} wrong worlds"
        for claim, count in short.items()
        if count
    ]
    if gaps:
        lines += ["", f"Of the claims with a column, {'; '.join(gaps)}."]
    return "\n".join(lines) + "\n"


SHORT = {
    soundness.STEP: "norm",
    soundness.RULE: "rule",
    soundness.ALONG: "along",
    soundness.FALL: "power",
}


def cell(found: Mapping[str, Any] | None) -> str:
    """Return one cell of the table; it is empty where nothing was judged."""
    if found is None:
        return ""
    if found["verdict"] == "not held":
        return f"not held‡ ({SHORT[found['premises'][0]]}, {found['step']})"
    value = "" if found.get("value") is None else f" {found['value']:.3g}"
    marks = ("†" if found.get("algebra") == "violated" else "") + ("‡" if found.get("premises") else "")
    return f"{SIGNS[found['verdict']]}{value}{marks}"
