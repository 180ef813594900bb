"""Small made-up claims, to test the engine without training anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest

from ilr_check.claims.claim import Claim, Context, Finding, Judged, Profile, Unit
from ilr_check.evidence import ClaimText, Figure, Margin, Measured, RunFolder, Series

UNITS = 3


def text(name: str) -> ClaimText:
    return ClaimText(
        id=name,
        title="",
        statement="",
        equation="",
        source="",
        kind="statistical",
        chapter="exact",
        groups=("core",),
        rivals=("r",),
        meaning="",
    )


@dataclass
class Invented:
    """Return claims whose verdicts are a hash of their subject and seed, and the list of judged units."""

    judged: list[str] = field(default_factory=list)
    before: Callable[[str, Context], None] = lambda title, context: None
    false_fail: float = 1e-6

    def claim(self, name: str) -> Claim:
        def plan(profile: Profile, seed: int) -> tuple[Unit, ...]:
            return tuple(
                Unit(
                    claim=name,
                    title=f"{name} {i}",
                    subject={"claim": name, "i": i},
                    decisions=(f"{name} {i} d",),
                )
                for i in range(UNITS)
            )

        def judge(subject: dict[str, Any], context: Context) -> Judged:
            title = f"{subject['claim']} {subject['i']}"
            self.judged.append(title)
            self.before(title, context)
            context.progress(0.5)
            findings = tuple(self.finding(subject, context, number) for number in range(2))
            series = Series(name="s", kind="histogram", role="measured", y=np.ones(2))
            figure = Figure(name=title, title="", x_label="", y_label="", series=(series,))
            return Judged(findings, (figure,))

        return Claim(text=text(name), plan=plan, judge=judge)

    def finding(self, subject: dict[str, Any], context: Context, number: int) -> Finding:
        return Finding(
            form="exact",
            group=f"g{number}",
            subject=subject,
            verdict="holds",
            quantity="q",
            measured=Measured(value=float(context.seed % 1000)),
            expected=0.0,
            margin=Margin(low=-1.0, high=1.0),
            message=f"share {context.alpha(next(iter(context.alphas), '')):.3g}",
            false_fail=self.false_fail,
        )


def use(monkeypatch: pytest.MonkeyPatch, claims: dict[str, Claim]) -> None:
    for module in ("ilr_check.engine", "ilr_check.claims"):
        monkeypatch.setattr(f"{module}.catalogue", lambda: claims)


def timeless(folder: RunFolder) -> list[bytes]:
    """The records in their planned order, byte for byte, with the seconds set aside."""
    return [msgspec.json.encode(msgspec.structs.replace(record, seconds=0.0)) for record in folder.records()]


def break_at(title: str, error: BaseException) -> Callable[[str, Context], None]:
    def check(now: str, context: Context) -> None:
        if now == title:
            raise error

    return check
