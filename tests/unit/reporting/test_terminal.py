"""The terminal reporter: a table for people, stable lines for logs, failures in full."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from synthetic_records import HOSTILE, healthy_records, hostile_records, record

from ilr_check.evidence import Measured
from ilr_check.reporting.terminal import TerminalReporter, failure_lines, record_line, verdict_table


def play(console: Console, live: bool | None = None, records: list[Any] | None = None) -> str:
    records = healthy_records() + hostile_records() if records is None else records
    reporter = TerminalReporter(console, live=live)
    reporter.unit_started("digits [red]not markup[/red]", 1, 2)
    reporter.progress(0.5)
    reporter.progress(7.0)
    reporter.unit_finished("digits [red]not markup[/red]", records[:2], 1.25)
    reporter.unit_started("generated", 2, 2)
    reporter.unit_finished("generated", records[2:], 0.5)
    reporter.finished(records, 1, Path("reports/runs/x/report.html"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def log_console(**options: Any) -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=60, **options)


def test_a_log_has_one_line_a_record() -> None:
    lines = play(log_console()).splitlines()
    assert "unit 1/2 digits [red]not markup[/red]: 2 records in 1.2 s" in lines
    found = [line for line in lines if line.startswith("holds sqrt-recovery form=transfer ")]
    assert found == [
        "holds sqrt-recovery form=transfer group=digits, mlp-bn measured=0.3184 [0.3121, 0.3249] "
        "expected=0.3171 margin=[0.303, 0.3319] id=sqrt-transfer"
    ]
    assert lines[-4].startswith("verdicts: 2 violated, 1 unexpected pass, 1 error, 1 inconclusive")
    assert lines[-2:] == ["exit code 1: at least one claim is violated", "report: reports/runs/x/report.html"]


def test_a_log_has_no_control_characters() -> None:
    assert "\x1b" not in play(log_console())


def test_a_failure_is_printed_in_full() -> None:
    text = play(log_console())
    block = text.split("VIOLATED: norm-recursion")[1].split("\n\n")[0]
    for part in (
        "weight decay acts twice",
        "measured  8.1e6 (largest residual over its rounding bound)",
        "expected  0",
        "margin    at most 1, from the rounding bound",
        "'family': 'mlp'",
        "replay    ilr-check replay reports/runs/0#norm-wd-twice",
    ):
        assert part in block


def test_an_inconclusive_verdict_says_what_it_could_have_seen() -> None:
    lines = failure_lines(next(r for r in hostile_records() if r.verdict == "inconclusive"))
    assert "design    96 runs, detects a deviation of 0.021; false violated 6.3e-5, false holds 1 %" in lines
    assert "rival     10^(−1/3) (0.464) is not excluded" in lines


def test_a_record_that_is_not_judged_is_no_failure() -> None:
    raw = record("raw", "sqrt-recovery", "violated", form="raw", counts=False)
    text = play(log_console(), records=[raw])
    assert "VIOLATED" not in text
    assert "judged=no" in record_line(raw)
    assert "verdicts: none; 1 reported, not judged" in text


def test_a_terminal_gets_a_table_and_a_bar() -> None:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=160, color_system="standard", _environ={}
    )
    text = play(console, records=healthy_records())
    assert "\x1b[" in text
    assert "1/2" in text
    assert "measured [low, high]" in text


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_of_the_table_is_cut(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={})
    TerminalReporter(console, live=True).finished(healthy_records(), 0)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for part in ("gradient-orthogonality", "[0.3121, 0.3249]", "[0.3141, 0.3213]", "not judged", "transfer"):
        assert part in text


def test_the_table_keeps_a_claim_together_and_puts_the_worst_first() -> None:
    table = verdict_table([*healthy_records(), *hostile_records()])
    words = [str(cell) for cell in table.columns[-1].cells]
    assert words[0] == "✗ violated"
    claims = [str(cell) for cell in table.columns[0].cells if str(cell)]
    assert len(claims) == len(set(claims)) == 6


def test_no_color_is_respected() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160, _environ={"NO_COLOR": "1"})
    text = play(console, live=False)
    assert "\x1b[31" not in text
    assert "\x1b[1;31" not in text


def test_a_console_without_unicode_gets_ascii_symbols() -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"  # type: ignore[assignment]

    console = Console(file=Ascii(), force_terminal=False)
    TerminalReporter(console).finished([record("a", "norm-recursion", "violated", message="broken")], 1)
    assert isinstance(console.file, io.StringIO)
    assert "X VIOLATED: norm-recursion" in console.file.getvalue()


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\rholds everything", "b\nholds forged", HOSTILE, "[bold]"])
def test_a_name_cannot_forge_a_line(evil: str) -> None:
    line = record_line(record(evil, evil, "violated", group=evil))
    assert line.isprintable()
    text = play(
        log_console(), records=[record(evil, evil, "violated", group=evil, message=evil, replay=evil)]
    )
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("holds")]


def test_numbers_that_are_none_are_no_crash() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={})
    nothing = record("n", "mixing-time", "error", measured=Measured(None), expected=None, detectable=None)
    assert "ERROR" in play(console, records=[nothing])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_fits_and_has_per_cent_and_the_remaining_time(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("ilr_check.reporting.terminal.time.monotonic", lambda: float(next(clock)))
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={})
    reporter = TerminalReporter(console, live=True)
    reporter.working("loading")
    reporter.unit_started("a piece of work with a very long title " * 3, 3, 6)
    reporter.progress(0.5)
    assert reporter._bar is not None
    shown = "".join(segment.text for segment in console.render(reporter._bar.get_renderable()))
    reporter.close()
    assert "[3/6]" in shown
    assert "42%" in shown
    # Half a piece took ten seconds, and three and a half are left; the two before it were there already.
    assert "about 1 min 10 s left" in shown
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 60, 120])
def test_sentences_on_a_terminal_end_their_lines_between_words(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={})
    words = "a long name of a quantity that nobody can read in one line of a terminal"
    raw = record("raw", "x", "violated", form="raw", counts=False, quantity=words, expected=1.0)
    TerminalReporter(console, live=False).finished([raw], 0)
    assert isinstance(console.file, io.StringIO)
    told = console.file.getvalue().split("taken literally: ")[1].split("exit code")[0]
    assert words in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= width


def test_closing_twice_is_harmless() -> None:
    reporter = TerminalReporter(Console(file=io.StringIO(), force_terminal=True, _environ={}))
    reporter.unit_started("a", 1, 1)
    reporter.close()
    reporter.close()
    reporter.progress(0.5)
