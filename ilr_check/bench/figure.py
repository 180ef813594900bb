"""The figure of docs/speed.md: time per run-step against the number of runs, one panel per workload."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ilr_check.bench.results import PATHS, WITHOUT_MEMORY, Bench
from ilr_check.bench.workloads import WORKLOADS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT = 1200, 420
LOOKS = {
    "loop": ("#6b7280", "circle"),
    "eager": ("#93c5fd", "square"),
    "compiled": ("#1d4ed8", "square"),
    "blackbox": ("#0d9488", "diamond"),
    "jax": ("#d97706", "triangle-up"),
    "limit": ("#111827", "line-ew-open"),
    "product": ("#111827", "line-ns-open"),
}


def write_figure(bench: Bench, target: Path) -> None:
    """Draw the figure with plotly and render it with a Chromium. Raises ``RuntimeError`` that says which is
    missing."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise RuntimeError(
            f"a figure needs a browser ({', '.join(BROWSERS)}); install one, or leave out --figure"
        )
    try:
        from plotly import graph_objects, io, subplots
    except ModuleNotFoundError as error:
        raise RuntimeError("a figure needs plotly; pip install 'ilr-check[interactive]'") from error
    names = list(dict.fromkeys(row.workload for row in bench.rows))
    titles = [WORKLOADS[name].title if name in WORKLOADS else name for name in names]
    figure = subplots.make_subplots(rows=1, cols=len(names), subplot_titles=titles, horizontal_spacing=0.05)
    shown = set()
    for column, name in enumerate(names, start=1):
        for path in PATHS:
            x, y = curve(bench, name, path)
            if not x:
                continue
            colour, symbol = LOOKS[path]
            figure.add_trace(
                graph_objects.Scatter(
                    x=x,
                    y=y,
                    name=path,
                    legendgroup=path,
                    showlegend=path not in shown,
                    mode="lines+markers",
                    line={"color": colour, "dash": "dot" if path in WITHOUT_MEMORY else "solid"},
                    marker={"symbol": symbol, "size": 8},
                ),
                row=1,
                col=column,
            )
            shown.add(path)
    figure.update_xaxes(type="log", title_text="runs", tickvals=[1, 16, 64, 256, 1024])
    figure.update_yaxes(type="log", dtick="D2")
    figure.update_yaxes(title_text="microseconds per run-step", col=1)
    figure.update_annotations(font_size=13)
    figure.update_layout(
        template="plotly_white",
        width=WIDTH,
        height=HEIGHT,
        margin={"l": 60, "r": 20, "t": 40, "b": 90},
        legend={"orientation": "h", "y": -0.22, "x": 0.5, "xanchor": "center"},
    )
    page: str = io.to_html(figure, include_plotlyjs=True, config={"staticPlot": True})
    _photograph(browser, page, target)


def curve(bench: Bench, workload: str, path: str) -> tuple[list[int], list[float]]:
    """Return runs and microseconds per run-step of a path, by rising number of runs."""
    rows: list[Any] = sorted(
        (row for row in bench.rows if (row.workload, row.path) == (workload, path)), key=lambda row: row.runs
    )
    return [row.runs for row in rows], [row.us_per_run_step for row in rows]


def _photograph(browser: str, page: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ilr-check-bench-") as folder:
        file = Path(folder) / "figure.html"
        file.write_text(page.replace("<body>", '<body style="margin:0">'), encoding="utf-8")
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{HEIGHT}",
                "--virtual-time-budget=4000",
                f"--screenshot={target.absolute()}",
                file.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
