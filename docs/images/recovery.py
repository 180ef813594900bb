"""Draw the figure of the README from the committed sample: python docs/images/recovery.py

It is one of the report's own figures, with its legend and with colours for light and for dark pages.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from ilr_check.evidence import RunFolder
from ilr_check.reporting import svg
from ilr_check.reporting.html import asset
from ilr_check.reporting.prepared import Mark, prepare

ROOT = Path(__file__).parents[2]
FIGURE = "sqrt-recovery--digits--label-noise-0.5--layers.0.weight"
TARGET = Path(__file__).with_suffix(".svg")
COLUMNS, LINE = 2, 42


def picture() -> str:
    """Return the drawing as a file of its own: legend above, styles and markers inside."""
    prepared = prepare(RunFolder(ROOT / "reports" / "sample" / "run").figures()[FIGURE])
    drawn = svg.draw(prepared)
    rows = -(-len(prepared.legend) // COLUMNS)
    top = rows * LINE + 20
    legend = "".join(_entry(mark, n % COLUMNS, n // COLUMNS) for n, (_, mark) in enumerate(prepared.legend))
    body = drawn.split(">", 1)[1].removesuffix("</svg>")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fig" viewBox="0 0 {svg.WIDTH} {svg.HEIGHT + top}" '
        f'width="{svg.WIDTH * 0.7:.0f}" role="img"><title>{escape(prepared.figure.title)}</title>'
        f'<style>{_style(prepared.marks)}</style>{_markers()}{legend}<g transform="translate(0 {top})">'
        f"{body}</g></svg>\n"
    )


def _entry(mark: Mark, column: int, row: int) -> str:
    x, y = column * svg.WIDTH // COLUMNS, row * LINE + 26
    dash = " ".join(str(2 * int(part)) for part in mark.dash_array.split())
    if mark.kind == "band":
        sign = f'<path class="area" d="M{x} {y - 20}h56v20h-56z"/>'
    elif mark.kind == "line":
        sign = f'<path d="M{x} {y - 10}h56"' + (f' stroke-dasharray="{dash}"/>' if dash else "/>")
    else:
        sign = f'<use href="#m-{mark.marker}" x="{x + 28}" y="{y - 10}"/>'
    name = f'<text x="{x + 70}" y="{y - 1}" font-size="25">{escape(mark.name)}</text>'
    return f'<g class="{mark.colour} {mark.role}">{sign}</g>{name}'


def _style(marks: tuple[Mark, ...]) -> str:
    sheet = asset("report.css")
    colours = dict(re.findall(r"--([\w-]+): (light-dark\([^)]*\))", sheet))
    names = ["muted", "rule", "paper", *dict.fromkeys(mark.colour for mark in marks)]
    rules = re.findall(r"^svg\.fig [^{]*\{[^}]*\}", sheet, re.MULTILINE)
    rules += [f".{mark.colour} {{ color: var(--{mark.colour}); }}" for mark in marks]
    known = "".join(f"--{name}:{colours[name]};" for name in names)
    font = "font:30px system-ui,sans-serif"
    return f"svg{{color-scheme:light dark;{known}{font}}}" + "".join(dict.fromkeys(rules))


def _markers() -> str:
    found = re.search(r"<defs>.*?</defs>", asset("figures.html.j2"))
    assert found is not None
    return found[0]


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
