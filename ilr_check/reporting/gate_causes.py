"""Group violations by their sentence: several laws with one sentence have one cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ilr_check.evidence import Finding, Severity
from ilr_check.evidence.gate import SEVERITIES

NAMELESS = "no known mutation of the reference implementation explains all steps"
"""A diagnosis with numbers but without a cause ends like this."""
FITTED = "weight decay per step is "
"""The most informative sentence begins like this: decay-coupling names the measured law of the decay."""
SHOWN = 3
"""The headline names this many causes and counts the rest."""


@dataclass(frozen=True)
class Cause:
    """One sentence, and the laws that report it, alone or after a few words of their own."""

    sentence: str
    severity: Severity
    laws: tuple[str, ...]

    def __str__(self) -> str:
        count = "1 law" if len(self.laws) == 1 else f"{len(self.laws)} laws"
        mild = "" if self.severity == "defect" else f"{self.severity}, "
        return f"{self.sentence} ({mild}{count})"


def causes(findings: Iterable[Finding]) -> tuple[Cause, ...]:
    """Return the causes of all violations, the gravest and most often told first.

    A deviation that is measured and not explained is a cause of its own only where nothing is explained.
    """
    violated = [f for f in findings if f.verdict == "violated" and f.diagnosis.strip()]
    explained = [f for f in violated if not f.diagnosis.strip().endswith(NAMELESS)]
    left = explained or violated[:1]
    found: list[Cause] = []
    while left:
        telling = min(left, key=lambda f: _order(f, left))
        told = [f for f in left if says(f, telling.diagnosis)]
        found.append(_cause(telling, told if explained else violated))
        left = [f for f in left if f not in told]
    return tuple(found)


def says(finding: Finding, sentence: str) -> bool:
    """Return whether a finding has this sentence, numbers aside, alone or after words of its own."""
    return _plain(finding.diagnosis).endswith(_plain(sentence))


def headline(causes: Sequence[Cause]) -> str:
    """Return one sentence about all causes; empty where a single law reports everything."""
    if not causes or len({law for cause in causes for law in cause.laws}) < 2:
        return ""
    if len(causes) == 1:
        return f"one cause: {causes[0]}"
    more = f"; and {len(causes) - SHOWN} more" if len(causes) > SHOWN else ""
    return f"{len(causes)} causes: {'; '.join(map(str, causes[:SHOWN]))}{more}"


def _order(finding: Finding, among: Sequence[Finding]) -> tuple[int, int, int]:
    support = len({other.claim for other in among if says(other, finding.diagnosis)})
    fitted = finding.claim == "decay-coupling" and finding.diagnosis.startswith(FITTED)
    return SEVERITIES.index(finding.severity), 0 if fitted else 1, -support


def _cause(telling: Finding, told: Sequence[Finding]) -> Cause:
    gravest = min((f.severity for f in told), key=SEVERITIES.index)
    return Cause(telling.diagnosis.strip(), gravest, tuple(dict.fromkeys(f.claim for f in told)))


# Each sentence is compared with every other one, and a broken optimizer has hundreds.
@lru_cache(maxsize=4096)
def _plain(sentence: str) -> str:
    """Return the sentence without its numbers: one defect measures other numbers in another setting."""
    return re.sub(r"-?\d[\d.]*(e[+-]?\d+)?", "#", sentence.strip())
