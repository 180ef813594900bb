"""Every statistical claim has enough runs for the error rates of a whole run of its chapter."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from ilr_check.claims import catalogue, home
from ilr_check.claims.claim import Context, Profile
from ilr_check.claims.law import SeveralLaws, StatisticalLaw
from ilr_check.planning import Settings, plan

RUNS: tuple[tuple[str, Profile], ...] = (
    ("core", "quick"),
    ("mean-field", "quick"),
    ("function-space", "quick"),
    ("language-models", "quick"),
    ("core", "standard"),
    ("mean-field", "standard"),
    ("function-space", "standard"),
    ("language-models", "standard"),
)


def weak(group: str, profile: Profile) -> Iterator[str]:
    claims, works, _ = plan(Settings(claims=group, profile=profile))
    context = Context(
        seed=0,
        profile=profile,
        alphas={name: alpha for work in works for name, alpha in work.alphas.items()},
        false_pass=works[0].false_pass,
    )
    for claim in claims:
        module = importlib.import_module(home(claim.id).removesuffix(".py").replace("/", "."))
        declared = getattr(module, "LAW", None)
        laws = declared.laws if isinstance(declared, SeveralLaws) else (declared,)
        for law in laws:
            if not isinstance(law, StatisticalLaw):
                continue
            for spec in law.experiments(profile, 0):
                for part in law.parts(spec):
                    reason = law.planned_design(spec, part, context).weakness()
                    if reason:
                        yield f"{claim.id}, {spec.title}, {part.name}: {reason}"


@pytest.mark.parametrize(
    ("group", "profile"),
    [pytest.param(*run, marks=() if run[1] == "quick" else pytest.mark.nightly) for run in RUNS],
)
def test_every_design_can_keep_its_promise(group: str, profile: Profile) -> None:
    assert catalogue()
    assert list(weak(group, profile)) == []
