"""What lm-tail and lm-no-decay read off norms and gradients whose truth is known."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.lab import Lab
from ilr_check.claims.language_models import lm_no_decay, lm_tail
from ilr_check.claims.language_models.lm_no_decay import NoDecay, NoDecayRuns
from ilr_check.claims.language_models.trainings import readings
from ilr_check.claims.language_models.trainings.decaying import Tail, TailRuns
from ilr_check.claims.language_models.trainings.hidden import STRIDE
from ilr_check.claims.language_models.trainings.readings import Logs
from ilr_check.theory.sgd import squared_norm_path

Array = NDArray[np.float64]
RUNS = 4
LAB = Lab(Context(seed=0, profile="quick"), 1)


def logs_of(log_norm: Array, log_noise: Array, names: tuple[str, ...]) -> Logs:
    """Runs with these norms and this noise, which is gradient times norm."""
    shape = (len(log_norm), len(names), RUNS)
    norm, gradient = (np.broadcast_to(x[:, None, None], shape) for x in (log_norm, log_noise - log_norm))
    return Logs(norm, gradient)


class KnownTail(TailRuns):
    """Runs whose norms are these, and whose noise doubles over the training."""

    def __init__(self, spec: Tail, norms: dict[str, Array]) -> None:
        super().__init__(spec, LAB)
        self.norms = norms

    def logs(self, which: Any, names: tuple[str, ...], n: int) -> Logs:
        log_norm = self.norms[which]
        return logs_of(log_norm, np.linspace(0.0, np.log(2.0), len(log_norm)), names)


def expected(spec: Tail, part: Any, name: str) -> Any:
    """What a rival of a part expects."""
    return next(r.expected for r in lm_tail.design(spec, part, 1e-5).rivals if r.name == name)


@pytest.mark.parametrize("rule", ["adamw", "muon"])
def test_lm_tail_reads_theory_and_rivals_off_gradients_and_norms(rule: Any) -> None:
    spec = lm_tail.tail("post", rule, quick=False)
    noise, curves, each, usual, corrected = lm_tail.parts(spec)
    norms = {which: 0.7 + spec.log_norm(which) for which in lm_tail.KINDS}
    exact = KnownTail(spec, norms)
    for part in (noise, curves, each, usual, corrected):
        assert lm_tail.sample(exact, part, RUNS) == pytest.approx(0.0, abs=1e-12)
    for name, norm in lm_tail.rival_norms(spec).items():
        rival = KnownTail(spec, {**norms, "usual": norm})
        assert lm_tail.sample(rival, usual, RUNS) == pytest.approx(expected(spec, usual, name))
        assert lm_tail.sample(rival, curves, RUNS)[0] == pytest.approx(expected(spec, curves, name))
        assert lm_tail.sample(rival, corrected, RUNS) == pytest.approx(0.0, abs=1e-12)
    # Without a correction the gradients of the second population grow as those of the first.
    name = "the norm falls as with the usual weight decay"
    uncorrected = KnownTail(spec, {**norms, "corrected": norms["usual"]})
    assert lm_tail.sample(uncorrected, corrected, RUNS) == pytest.approx(expected(spec, corrected, name))
    assert lm_tail.sample(uncorrected, curves, RUNS)[0] == pytest.approx(expected(spec, curves, name))
    assert lm_tail.sample(uncorrected, usual, RUNS) == pytest.approx(0.0, abs=1e-12)


def test_gradients_that_do_not_depend_on_the_norm_are_told_by_the_noise() -> None:
    spec = lm_tail.tail("post", "muon", quick=True)
    noise = lm_tail.parts(spec)[0]

    class Flat(KnownTail):
        def logs(self, which: Any, names: tuple[str, ...], n: int) -> Logs:
            found = super().logs(which, names, n)
            return Logs(found.norm, np.zeros_like(found.norm))

    flat = Flat(spec, {which: spec.log_norm(which) for which in lm_tail.KINDS})
    assert lm_tail.sample(flat, noise, RUNS) == pytest.approx(
        expected(spec, noise, "gradients do not depend on the norm")
    )


def test_the_norm_leaves_the_equilibrium_of_the_current_lr_where_it_is_a_tenth_above() -> None:
    spec = lm_tail.tail("post", "muon", quick=True)
    assert spec.where_it_leaves(spec.log_equilibrium()) == 1.0
    # A norm that stands still is e^0.1 above where lr has fallen by e^-0.2, after 18 per cent.
    assert spec.where_it_leaves(np.zeros(spec.steps)) == pytest.approx(0.18, abs=0.03)


class KnownNoDecay(NoDecayRuns):
    """Runs with ``growth`` of log norm; the others keep their norm."""

    def __init__(self, spec: NoDecay, growth: Array) -> None:
        super().__init__(spec, LAB)
        self.growth = growth

    def log_growth(self, names: tuple[str, ...], n: int) -> tuple[Array, Array]:
        shape = (len(self.growth), len(names), n)
        rows = (self.growth, self.no_decay.log_growth())
        measured, predicted = (np.broadcast_to(x[:, None, None], shape) for x in rows)
        return measured, predicted


@pytest.mark.parametrize("rule", lm_no_decay.RULES)
def test_lm_no_decay_reads_theory_and_rivals_off_norms(rule: Any) -> None:
    spec = lm_no_decay.no_decay("post", rule)
    curve, each = lm_no_decay.parts(spec)
    exact = KnownNoDecay(spec, spec.log_growth())
    assert lm_no_decay.sample(exact, curve, RUNS) == pytest.approx(0.0, abs=1e-12)
    assert lm_no_decay.sample(exact, each, RUNS) == pytest.approx(0.0, abs=1e-12)
    for rival in lm_no_decay.design(spec, curve, 1e-5).rivals:
        runs = KnownNoDecay(spec, spec.rival_growth()[rival.name])
        assert lm_no_decay.sample(runs, curve, RUNS)[0] == pytest.approx(rival.expected)


@pytest.mark.parametrize(("rule", "power"), [("adamw", 2.0), ("muon", 2.0), ("sgd", 4.0)])
def test_the_growth_without_decay_is_the_closed_form_of_the_statement(rule: Any, power: float) -> None:
    """Up to lr * weight_decay times the ten steps that the averages of the optimizers remember."""
    spec = lm_no_decay.no_decay("post", rule)
    slow = msgspec.structs.replace(spec, weight_decay=spec.weight_decay / 50.0, after=4000)
    grown = np.exp(power * slow.log_growth()[-1])
    since = STRIDE * (slow.steps // STRIDE - 1) - slow.before
    assert grown == pytest.approx(1.0 + power * slow.intrinsic_lr * since, rel=0.01)


def test_norms_follow_the_noise_of_other_runs() -> None:
    steps, names = 200, ("a", "b")
    lr, wd = np.full(steps, 0.1), np.full(steps, 0.02)
    noise2 = np.linspace(1.0, 3.0, steps // STRIDE)
    start = np.log(1.3)
    others = logs_of(np.full(steps // STRIDE, start), 0.5 * np.log(noise2), names)
    found = readings.norms_from_noise(others, lr, wd)
    path = squared_norm_path(np.exp(2.0 * start), noise2.repeat(STRIDE), lr, wd)[:-1:STRIDE]
    # The term (lr G / r)^4 that is left out is lr wd of the whole.
    assert found[:, 0, 0] == pytest.approx(0.5 * np.log(path), abs=2e-3)
