"""The part of the kill matrix that every push judges, chosen by a rule and not by hand.

A mutation covers its family, its kind of defect and each law that kills it in the committed matrix. The
greedy rule takes the mutation that covers most of what is not covered yet, the first in the catalogue among
equals, until all families, kinds and laws that kill anything are covered. A correct variant covers the laws
that it obeys and the tags that it declares; the same rule chooses among them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from .broken import recent, variances
from .correct import VARIANTS
from .judging import Row
from .matrix import Matrix
from .mutants import MUTANTS


def mutations(matrix: Matrix) -> tuple[str, ...]:
    """Mutations that cover every family, every kind and every law that kills."""
    rows = {row.name: row for row in matrix.mutants if row.killed_by}
    return _cover({name: _features(rows[name]) for name in MUTANTS if name in rows})


def variants(matrix: Matrix) -> tuple[str, ...]:
    """Correct variants that cover every law that one of them obeys, and every tag."""
    rows = {row.name: row for row in matrix.variants}
    covered = {}
    for name, variant in VARIANTS.items():
        if name in rows:
            obeyed = {("law", law) for law, verdict in rows[name].verdicts.items() if verdict == "holds"}
            tags = {("tag", tag) for tag in getattr(variant.factory, "ilr_check_tags", {})}
            covered[name] = obeyed | tags
    return _cover(covered)


def _features(row: Row) -> set[Hashable]:
    mutant = MUTANTS[row.name]
    family = set() if elsewhere(row.name) else {("family", mutant.contract)}
    return {*family, ("kind", mutant.kind), *(("law", law) for law in row.killed_by)}


def elsewhere(name: str) -> bool:
    """Whether ``test_recent_families`` judges this mutation at every push, with all others of its family."""
    return MUTANTS[name].factory.__module__ in (recent.__name__, variances.__name__)


def _cover(features: Mapping[str, set[Hashable]]) -> tuple[str, ...]:
    """Names that cover the union, chosen greedily, in the order of the catalogue."""
    wanted = set().union(*features.values()) if features else set()
    chosen: list[str] = []
    while wanted:
        best = max(features, key=lambda name: len(features[name] & wanted))
        chosen.append(best)
        wanted -= features[best]
    return tuple(name for name in features if name in set(chosen))
