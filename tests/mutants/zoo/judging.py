"""One row of the kill matrix: what the gate says of an optimizer, and whether it names what was planted."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import torch

import ilr_check
from ilr_check.evidence.gate import Finding
from ilr_check.gate.judge import Judge
from ilr_check.gate.laws import planned
from ilr_check.gate.subjects import subject_of
from ilr_check.optim.contracts import contracts

from .records import UNKNOWN, Mutant, Variant

CLAIMS = "exact"
"""The tier that a maintainer runs before every merge; the zoo is judged by it."""
DEAR = ("training-laws",)
"""Laws of that tier that search over whole trainings, asked only of mutants that all others pass."""

OF_TORCH = (
    "tensor-lr:a schedule of its own for each group",
    "copies:attributes",
    "layouts:fused, transposed weights",
    "layouts:fused, a transposed gradient",
)
"""Findings that torch hands down to every class derived from its Optimizer: groups share the tensor that is
their lr, copies lose attributes, and fused kernels ignore strides (docs/trophy-case.md). They neither kill a
mutation nor accuse a correct variant."""
UNEXPLAINED = re.compile(r"step \d+ moved an entry .*")
"""What a law measured but cannot explain; it names nothing, and only what stands before it may."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What every law says of one optimizer, and the sentence that stands for it."""

    name: str
    contract: str
    verdicts: dict[str, str]
    """Law to its verdict: violated if one of its findings is, error if one is and none violated."""
    unnamed: str | None = None
    """The first law that kills it when no contract is named; empty where none does, None if not judged."""
    diagnosis: str = ""
    """The sentence that names the planted defect, or else the first one."""
    named: bool = False
    """Whether a sentence of a violated finding has words that name what was planted."""
    named_first: bool = False
    """Whether already the first sentence does."""

    @property
    def killed_by(self) -> tuple[str, ...]:
        return tuple(law for law, verdict in self.verdicts.items() if verdict == "violated")

    @property
    def erring(self) -> tuple[str, ...]:
        return tuple(law for law, verdict in self.verdicts.items() if verdict == "error")


@dataclass(frozen=True)
class Judged:
    """A row and all that was said, for people who look for the reason."""

    row: Row
    sentences: tuple[tuple[str, str], ...]
    """(law and group, diagnosis and message) of every finding that is violated or in error."""


ORDER = ("violated", "error", "inconclusive", "holds", "skipped")


def judge(entry: Mutant | Variant, *, unnamed: bool = False, laws: Iterable[str] = ()) -> Judged:
    """Run the gate on one optimizer of the zoo, as a maintainer would who named its contract.

    ``unnamed`` runs it once more without one, up to the first law that kills. ``laws`` are asked alone, where
    there are any.
    """
    args = entry.args if isinstance(entry, Variant) else None
    with world_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        findings: list[Finding] = []
        rounds = [",".join(laws or (law for law in exact_laws() if law not in DEAR))]
        if isinstance(entry, Mutant) and not laws:
            rounds.append(",".join(DEAR))
        for claims in rounds:
            if not any(f.verdict in ("violated", "error") for f in findings):
                findings += ilr_check.check_optimizer(
                    entry.factory, contract=entry.contract, claims=claims, declare=entry.declare, args=args
                ).findings
    verdicts: dict[str, str] = {}
    for finding in (f for f in findings if f.id not in OF_TORCH):
        old = verdicts.get(finding.claim, "skipped")
        verdicts[finding.claim] = min(old, finding.verdict, key=ORDER.index)
    wrong = [f for f in findings if f.verdict in ("violated", "error") and _counts(entry, f)]
    said = tuple((f.id, f"{f.diagnosis} | {f.message}") for f in wrong)
    spoken = [f.diagnosis for f in wrong if f.verdict == "violated"]
    words = re.compile("|".join(entry.expect), re.IGNORECASE) if isinstance(entry, Mutant) else None
    naming = [s for s in spoken if words is not None and words.search(UNEXPLAINED.sub("", s))]
    row = Row(
        name=entry.name,
        contract=entry.contract,
        verdicts=verdicts,
        unnamed=first_kill(entry) if unnamed else None,
        diagnosis=(naming or spoken or [""])[0],
        named=bool(naming),
        named_first=bool(naming) and naming[0] == spoken[0],
    )
    return Judged(row, said)


def first_kill(entry: Mutant | Variant) -> str:
    """The first law that is violated where no contract is named; each is asked in turn."""
    args = entry.args if isinstance(entry, Variant) else None
    with world_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        subject, _ = subject_of(entry.factory, args=args)
        laws = [law for law in planned(CLAIMS) if law.id not in DEAR]
        for judgement in Judge(subject).judge(laws):
            if any(
                finding.verdict == "violated" for finding in judgement.findings if _counts(entry, finding)
            ):
                return judgement.law.id
    return ""


def _counts(entry: Mutant | Variant, finding: Finding) -> bool:
    """Whether a finding speaks against an optimizer: a correct one may depart from a convention."""
    if finding.id in OF_TORCH:
        return False
    return isinstance(entry, Mutant) or finding.severity != "departure"


def exact_laws() -> tuple[str, ...]:
    """The laws that the zoo is judged by, in the order in which they run."""
    return tuple(law.id for law in planned(CLAIMS))


def has_contract(entry: Mutant | Variant) -> bool:
    """Whether the gate knows the family, or is to judge it as one that it does not know."""
    return entry.contract == UNKNOWN or entry.contract in contracts()


@contextmanager
def world_restored() -> Iterator[None]:
    """Undo what a mutant does to torch's global state, so that it spoils no neighbour."""
    dtype, grad, draws = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.set_rng_state(draws)
