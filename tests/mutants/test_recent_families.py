"""Families of 2021 and later: found at the default settings, kept by a twin, and broken by each mutation."""

from __future__ import annotations

import pytest
from zoo.broken import recent as broken
from zoo.broken import variances as broken_variances
from zoo.by_hand import recent, variances
from zoo.mutants import MUTANTS
from zoo.records import Factory

from ilr_check.gate.judge import judge as judge_law
from ilr_check.gate.laws import planned
from ilr_check.gate.subjects import subject_of

TWINS: dict[str, Factory] = {
    "adan": recent.HandAdan,
    "ademamix": recent.HandAdEMAMix,
    "adopt": recent.HandADOPT,
    "madgrad": recent.HandMADGRAD,
    "grams": recent.HandGrams,
    "cadamw": recent.HandCautiousAdamW,
    "clion": recent.HandCautiousLion,
    "adabelief": variances.HandAdaBelief,
    "yogi": variances.HandYogi,
    "diffgrad": variances.HandDiffGrad,
    "stableadamw": variances.HandStableAdamW,
    "laprop": variances.HandLaProp,
    "novograd": variances.HandNovoGrad,
    "pid": variances.HandPID,
}
MODULES = (broken.__name__, broken_variances.__name__)
BROKEN = [name for name, entry in MUTANTS.items() if entry.factory.__module__ in MODULES]
LAWS = "decay-zero-gradient,gradient-degree,memory,eps-placement,textbook-step,tensor-shapes"


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_from_the_paper_is_found_and_keeps_its_contract(name: str) -> None:
    subject, note = subject_of(TWINS[name])
    assert subject.contract is not None, note
    assert subject.contract.name == name
    for law in planned(LAWS):
        findings, _ = judge_law(law, subject)
        assert not [f.diagnosis for f in findings if f.verdict in ("violated", "error")]


@pytest.mark.parametrize("name", BROKEN)
def test_a_slip_is_found(name: str) -> None:
    subject, _ = subject_of(MUTANTS[name].factory, contract=MUTANTS[name].contract)
    findings, _ = judge_law(planned("textbook-step")[0], subject)
    assert [f for f in findings if f.verdict == "violated"]
