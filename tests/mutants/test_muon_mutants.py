"""The claim about the equilibrium of Muon refutes broken implementations of Muon."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from torch import Tensor
from worlds import stepping_as

from ilr_check.claims.claim import Context, Finding
from ilr_check.claims.mean_field import muon_equilibrium
from ilr_check.claims.mean_field.muon_equilibrium import LAW, autocovariances, predicted
from ilr_check.optim.muon import muon, orthogonalised
from ilr_check.optim.rules import Columns, Rule, State

pytestmark = [
    pytest.mark.on_push(
        "test_a_planted_defect_is_refuted[not orthogonalised]",
        "test_the_right_rule_holds_and_excludes_every_rival",
    ),
    pytest.mark.usefixtures("eager"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)


def judged(rule: Rule | None) -> Finding:
    """Only the level that forgets fastest."""
    (experiment,) = LAW.experiments("quick", 0)
    cheap = msgspec.structs.replace(
        experiment,
        levels=experiment.levels[1:],
        initial_norms=experiment.initial_norms[1:],
        burn_in=1.5,
        window=1.0,
        looks=(32,),
    )
    context = replace(CONTEXT, world=stepping_as(rule, "muon") if rule else None)
    (finding,) = LAW.judge(msgspec.to_builtins(cheap), context).findings
    return finding


def with_decay(factor: float) -> Rule:
    def coefficients(columns: Columns):  # type: ignore[no-untyped-def]
        return muon.coefficients({**columns, "weight_decay": factor * columns["weight_decay"]})

    return replace(muon, coefficients=coefficients)


def without_nesterov(w: Tensor, g: Tensor, state: State, c: tuple[Tensor, ...]) -> tuple[Tensor, State]:
    """It orthogonalises the average; matrices here are wide, so that no ratio is due."""
    buffer = state[0].lerp(g, c[2])
    return w * c[0] + c[1] * orthogonalised(buffer).to(w.dtype), (buffer,)


def not_orthogonalised(w: Tensor, g: Tensor, state: State, c: tuple[Tensor, ...]) -> tuple[Tensor, State]:
    """The momentum itself, brought to the length of orthogonal rows."""
    buffer = state[0].lerp(g, c[2])
    update = g.lerp(buffer, c[3])
    length = w.shape[1] ** 0.5 / update.flatten(1).norm(dim=1)
    return w * c[0] + c[1] * length[:, None, None] * update, (buffer,)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(with_decay(0.5), id="decay halved"),
        pytest.param(with_decay(2.0), id="decay twice"),
        pytest.param(replace(muon, step=without_nesterov), id="without Nesterov"),
        pytest.param(replace(muon, step=not_orthogonalised), id="not orthogonalised"),
    ],
)
def test_a_planted_defect_is_refuted(rule: Rule) -> None:
    assert judged(rule).verdict == "violated"


def test_the_right_rule_holds_and_excludes_every_rival() -> None:
    finding = judged(None)
    assert finding.verdict == "holds"
    assert [rival.name for rival in finding.rivals if not rival.excluded] == []
    assert set(muon_equilibrium.TEXT.rivals) < {rival.name for rival in finding.rivals}


def test_the_autocovariance_without_time_is_the_updates_squared_length() -> None:
    """Five Newton-Schulz steps leave singular values within 0.68 .. 1.13 (Jordan et al. 2024)."""
    found = autocovariances((8, 16), 0.9, [1, 2])
    assert np.all((found[:, 0] > 8 * 0.68**2) & (found[:, 0] < 8 * 1.13**2))


def test_uncorrelated_updates_have_the_norm_and_turn_of_a_random_walk() -> None:
    level = LAW.experiments("quick", 0)[0].levels[0]
    a = 1.0 - level.lr * level.weight_decay
    norm2, inner = predicted(level, np.array([2.0, 0.0, 0.0]))
    assert norm2 == pytest.approx(2.0 * level.lr**2 / (1.0 - a * a), rel=1e-15)
    assert inner == pytest.approx(a * norm2, rel=1e-15)
