"""The terminal reporter: progress, the verdict table, and every failure in full.

On a terminal it draws a bar and a table; anywhere else (CI logs, files) it writes one stable line a record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from ilr_check.evidence import Margin, Record, verdict_order
from ilr_check.reporting import literal, numbers, verdicts
from ilr_check.reporting.claim_page import wrapped
from ilr_check.reporting.escaping import one_line

WIDE = 140
"""The table needs this many columns to keep each record on one line."""
SURE_AFTER = 3.0
"""The remaining time is shown after this many seconds; earlier it would jump."""
STYLES = {
    "holds": "green",
    "expected_failure": "green",
    "violated": "bold red",
    "unexpected_pass": "bold red",
    "error": "bold magenta",
    "inconclusive": "yellow",
    "skipped": "dim",
}
MARGIN_ORIGINS = {
    "exact": "the rounding bound of this computation",
    "identity": "finite-size corrections, with the noise of the same run",
    "transfer": "finite-size corrections and a stated tolerance, with noise from other runs",
    "raw": "the paper's wording; reported, not judged",
}


class TerminalReporter:
    """Consumes what an engine tells while it runs, and prints it.

    ``live`` forces the progress bar on or off; by default it is shown only on a terminal.
    """

    def __init__(self, console: Console | None = None, *, live: bool | None = None) -> None:
        self.console = Console() if console is None else console
        self.live = self.console.is_interactive and self.console.is_terminal if live is None else live
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._status: Status | None = None
        self._place = (0, 0)
        self._finished = 0
        self._resumed = 0
        self._started = 0.0

    def working(self, what: str) -> None:
        """Show that something is done before the first piece of work; on a terminal only."""
        if self.live:
            self._status = self.console.status(Text(one_line(what)))
            self._status.start()

    def unit_started(self, title: str, number: int, total: int) -> None:
        """Show that a piece of work begins; ``number`` counts from 1."""
        self._place = (number, total)
        if not self.live:
            return
        if self._bar is None:
            self.close()
            self._finished = self._resumed = number - 1
            self._started = time.monotonic()
            self._bar = Progress(
                TextColumn("[{task.fields[place]}]", markup=False),
                TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
                BarColumn(bar_width=12),
                TaskProgressColumn(),
                TextColumn("{task.fields[left]}", style="dim", markup=False),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
                expand=True,
            )
            self._task = self._bar.add_task("", total=total, completed=self._finished, place="", left="")
        assert self._task is not None
        self._bar.update(self._task, description=one_line(title), place=f"{number}/{total}")
        self._bar.start()

    def progress(self, fraction: float) -> None:
        """Show how far the current piece of work is, between 0 and 1."""
        if self._bar is not None and self._task is not None:
            done = self._finished + min(max(fraction, 0.0), 1.0)
            self._bar.update(self._task, completed=done, left=self._left(done))

    def _left(self, done: float) -> str:
        """Return the remaining time, as if all pieces took equally long."""
        made, total = done - self._resumed, self._place[1]
        seconds = time.monotonic() - self._started
        if seconds < SURE_AFTER or made <= 0:
            return ""
        return f"about {numbers.duration(seconds * (total - done) / made)} left"

    def unit_finished(self, title: str, records: Iterable[Record], seconds: float) -> None:
        """Show that a piece of work ended with these records."""
        records = tuple(records)
        if self.live:
            self._finished += 1
            self.progress(0.0)
            worst = verdicts.worst(records)
            line = Text.assemble(
                (f"{self._symbol(worst)} {verdicts.words(worst):<12}", STYLES.get(worst, "")),
                f" {one_line(title)} ",
                (numbers.duration(seconds), "dim"),
            )
            self.console.print(line, highlight=False)
            return
        number, total = self._place
        self._line(f"unit {number}/{total} {one_line(title)}: {len(records)} records in {seconds:.1f} s")
        for record in records:
            self._line(record_line(record))

    def finished(self, records: Iterable[Record], exit_code: int, report_path: Path | None = None) -> None:
        """Print the table, the failures in full, the exit code and the place of the report."""
        self.close()
        found = tuple(records)
        if self.live and found:
            self.console.print(verdict_table(found, width=self.console.width, symbol=self._symbol))
        for record in sorted(found, key=lambda r: verdict_order.rank(r.verdict)):
            if record.verdict in verdict_order.FAILED and record.counts:
                self._failure(record)
        departures = [record for record in found if verdicts.is_departure(record)]
        counted = verdicts.tally(r.verdict for r in found if r.counts and r not in departures)
        if departures:
            counted["known departure" + "s" * (len(departures) > 1)] = len(departures)
        summary = ", ".join(f"{count} {verdicts.words(word)}" for word, count in counted.items())
        unjudged = sum(not record.counts for record in found)
        aside = f"; {unjudged} reported, not judged" if unjudged else ""
        self._line(f"verdicts: {summary or 'none'}{aside}")
        if raw := literal.raw_statements(found)[0]:
            self._prose(f"taken literally: {raw}")
        if known := verdicts.known_departures(found):
            self._prose(known)
        if grades := verdicts.grades(found):
            self._prose(f"of those that hold: {grades}")
        meaning = verdicts.EXIT_MEANINGS.get(exit_code, "unknown")
        self._line(f"exit code {exit_code}: {meaning}", style="bold red" if exit_code in (1, 2) else "bold")
        if report_path is not None:
            self._line(f"report: {report_path}")

    def close(self) -> None:
        """Remove the bar; this is safe at any time, also after an interrupt."""
        if self._status is not None:
            self._status.stop()
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = self._status = None

    def _failure(self, record: Record) -> None:
        self.console.print()
        self._line(
            f"{self._symbol(record.verdict)} {verdicts.words(record.verdict).upper()}: "
            f"{one_line(record.claim)} ({record.form}, {one_line(verdicts.place(record))})",
            style=STYLES.get(record.verdict, ""),
        )
        for line in failure_lines(record):
            self._line("  " + line)

    def _line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True, highlight=False)

    def _prose(self, text: str) -> None:
        """Print a sentence; a terminal gets lines that end between words."""
        if self.console.is_terminal:
            text = wrapped(text, self.console.width, "    ")
        self._line(text)

    def _symbol(self, verdict: str) -> str:
        plain = not self.console.encoding.lower().startswith("utf")
        return (verdicts.ASCII_SYMBOLS if plain else verdicts.SYMBOLS).get(verdict, "?")


def verdict_table(
    records: Sequence[Record], *, width: int = WIDE, symbol: Callable[[str], str] | None = None
) -> Table:
    """Return a table of the claims, the worst verdict first.

    Below ``WIDE`` columns the numbers of a record stand in two lines instead of being cut.
    """
    mark = symbol or (lambda verdict: verdicts.SYMBOLS.get(verdict, "?"))
    wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("claim", min_width=24, max_width=32, overflow="ellipsis", no_wrap=wide)
    if wide:
        table.add_column("form", no_wrap=True)
        table.add_column("group", max_width=40, overflow="fold")
        heads = ["measured [low, high]", "expected", "margin"]
    else:
        heads = ["measured\n[low, high]", "expected\nmargin"]
    for head in heads:
        table.add_column(Text(head), justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True, min_width=14)
    previous = None
    for record in _by_claim(records):
        claim = "" if record.claim == previous else one_line(record.claim)
        previous = record.claim
        kind, group = record.form, one_line(verdicts.place(record))
        result, expected = numbers.measured(record.measured), numbers.number(record.expected)
        limits = numbers.margin(record.margin)
        if wide:
            cells = [claim, kind, group, result, expected, limits]
        else:
            name = f"{claim}\n  {kind}, {group}" if claim else f"  {kind}, {group}"
            lead = "\n" if claim else ""
            cells = [name, lead + result.replace(" ", "\n", 1), f"{lead}{expected}\n{limits}"]
        word = f"{mark(record.verdict)} {verdicts.word_of(record)}" if record.counts else "  not judged"
        style = STYLES.get(record.verdict, "") if record.counts else "dim"
        below = "" if wide or not claim else "\n"
        table.add_row(*map(Text, cells), Text(below + word, style=style))
    return table


def _by_claim(records: Sequence[Record]) -> list[Record]:
    own: dict[str, list[Record]] = {}
    for record in records:
        own.setdefault(record.claim, []).append(record)
    claims = sorted(own.values(), key=lambda found: verdict_order.rank(verdicts.worst(found)))
    return [
        r
        for found in claims
        for r in sorted(found, key=lambda r: (not r.counts, verdict_order.rank(r.verdict)))
    ]


def record_line(record: Record) -> str:
    """Return one line for ``grep``, with the same words in the same order in every version."""
    judged = "" if record.counts else " judged=no"
    judged += " departure=known" if record.departure else ""
    return one_line(
        f"{record.verdict} {record.claim} form={record.form} group={verdicts.place(record)} "
        f"measured={numbers.measured(record.measured)} expected={numbers.number(record.expected)} "
        f"margin={numbers.margin(record.margin)}{judged} id={record.id}"
    )


def failure_lines(record: Record) -> list[str]:
    """Return what a reader needs to act: numbers, the source of the margin, subject, replay."""
    lines = [one_line(line) for line in record.message.splitlines()]
    quantity = f" ({one_line(record.quantity)})" if record.quantity else ""
    # A claim that derives its margin says so in its message.
    told = "margin" in record.message or record.margin == Margin()
    origin = "" if told else f", from {MARGIN_ORIGINS.get(record.form, 'the claim')}"
    lines += [
        f"measured  {numbers.measured(record.measured)}{quantity}",
        f"expected  {numbers.number(record.expected)}",
        f"margin    {numbers.margin(record.margin)}{origin}",
    ]
    if record.kind != "exact":
        lines.append(
            f"design    {record.n_runs} runs, detects a deviation of {numbers.number(record.detectable)}; "
            f"false violated {numbers.rate(record.false_fail)}, false holds {numbers.rate(record.false_pass)}"
        )
    lines += [
        f"rival     {one_line(rival.name)} ({numbers.number(rival.expected)}) is not excluded"
        for rival in record.rivals
        if not rival.excluded
    ]
    lines.append(f"subject   {one_line(str(record.subject))}")
    if record.replay:
        lines.append(f"replay    {one_line(record.replay)}")
    return lines
