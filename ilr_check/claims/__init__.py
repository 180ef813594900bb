"""The catalogue of claims.

A claim is one module of ``exact``, ``mean_field``, ``function_space`` or ``language_models``, and it is found
by being there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from ilr_check.claims import exact, function_space, language_models, mean_field
from ilr_check.claims.claim import Claim
from ilr_check.claims.exact_law import ExactLaw
from ilr_check.claims.law import StatisticalLaw
from ilr_check.evidence import ClaimText
from ilr_check.plugins import Registry
from ilr_check.spelling import did_you_mean

CHAPTERS = ("exact", "mean-field", "function-space", "language-models")
GROUPS = ("core", *CHAPTERS, "all")


class Declaration(Protocol):
    """What declares a claim: an ``ExactLaw``, or anything else with a text that becomes a claim."""

    @property
    def text(self) -> ClaimText: ...

    def claim(self) -> Claim: ...


Declared = TypeVar("Declared", bound="Claim | Declaration | Callable[[], Any]")

REGISTERED: Registry[str, Claim | Declaration] = Registry("claim")


def register_claim(declared: Declared) -> Declared:
    """Add a claim from outside to the catalogue: a law, a ``Claim``, or a function that returns either.

    Raises ``ValueError`` for an id that is taken, or for a chapter that there is not.
    """
    made: Any = declared
    given: Claim | Declaration = made if hasattr(made, "text") else made()
    text = given.text
    if text.chapter not in CHAPTERS:
        hint = did_you_mean(text.chapter, CHAPTERS)
        raise ValueError(
            f"claim {text.id!r} has the chapter {text.chapter!r}; {hint}known are {', '.join(CHAPTERS)}"
        )
    REGISTERED.add(text.id, given, taken=text.id in _modules())
    catalogue.cache_clear()
    return declared


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Claim]:
    """Return every claim by id, in the order of the chapters of the report."""
    declared = [*_attributes("CLAIM"), *REGISTERED.registered().values()]
    claims = [given if isinstance(given, Claim) else given.claim() for given in declared if given is not None]
    claims.sort(key=lambda claim: (GROUPS.index(claim.text.chapter), claim.id))
    return {claim.id: claim for claim in claims}


def laws() -> dict[str, ExactLaw[Any]]:
    """Return the exact claims of the catalogue as laws, which check one example at a time, by id."""
    declared = [*_attributes("LAW"), *REGISTERED.registered().values()]
    found = {law.text.id: law for law in declared if isinstance(law, ExactLaw)}
    return {name: found[name] for name in catalogue() if name in found}


def statistical_laws() -> dict[str, tuple[StatisticalLaw[Any, Any], ...]]:
    """Return the declarations of every statistical claim, by id; a claim may have several."""
    declared = [*_attributes("LAW"), *REGISTERED.registered().values()]
    found = {law.text.id: getattr(law, "laws", (law,)) for law in declared if law is not None}
    own = {name: tuple(x for x in parts if isinstance(x, StatisticalLaw)) for name, parts in found.items()}
    return {name: own[name] for name in catalogue() if own.get(name)}


def home(claim: str) -> str:
    """Return the path of the file in which a claim is declared, below the folder of the package."""
    return f"{_modules()[claim].replace('.', '/')}.py" if claim in _modules() else "(registered from outside)"


@lru_cache(maxsize=1)
def _modules() -> dict[str, str]:
    """The name of each claim's module, by the claim's id."""
    return {
        module.name.replace("_", "-"): f"{chapter.__name__}.{module.name}"
        for chapter in (exact, mean_field, function_space, language_models)
        for module in pkgutil.iter_modules(chapter.__path__)
        if not module.ispkg
    }


def _attributes(name: str) -> Iterator[Any]:
    for module in _modules().values():
        yield getattr(importlib.import_module(module), name, None)


def select(wanted: str) -> tuple[Claim, ...]:
    """The claims named by a comma-separated list of ids and groups; raises ``ValueError`` for a stranger."""
    every = catalogue()
    chosen: dict[str, Claim] = {}
    for word in (part.strip() for part in wanted.split(",")):
        members = [c for c in every.values() if word in ("all", c.id, c.text.chapter, *c.text.groups)]
        if not members:
            filled = {c.text.chapter for c in every.values()} | {"core", "all"}
            known = [*(group for group in GROUPS if group in filled), *every]
            hint = did_you_mean(word, known)
            raise ValueError(f"unknown claim {word!r}; {hint}known are {', '.join(known)}")
        chosen.update((claim.id, claim) for claim in members)
    return tuple(claim for claim in every.values() if claim.id in chosen)
