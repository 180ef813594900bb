"""Estimators return the right number on noise-free curves of the theory and of each of their rivals."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ilr_check.claims import statistical_laws
from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.function_mixing_time import SLOPE_MARGIN
from ilr_check.claims.function_space.trainings.meetings import TIMES, TYPICAL, Meeting, relaxation_time
from ilr_check.claims.lab import Lab
from ilr_check.claims.mean_field import equilibrium_effective_lr
from ilr_check.claims.mean_field.no_decay_growth import Growth
from ilr_check.claims.mean_field.trainings.equilibrium import Equilibrium, Level
from ilr_check.claims.mean_field.trainings.sweep import Sweep, SweepRuns
from ilr_check.claims.mean_field.trainings.transfer import relaxation_rates
from ilr_check.claims.settings.subjects import DIGITS
from ilr_check.stats import RelaxationRate, hill
from ilr_check.theory.relaxation import gamma_path, memory_rate

Array = NDArray[np.float64]
CONTEXT = Context(seed=0, profile="quick")
INVERSES = np.array(Meeting.__struct_defaults__[0], dtype=float)
"""1/lambda_e of the levels of function-mixing-time."""


def distances(tau: Array, shape: str) -> Array:
    """Noise-free distances at ``TIMES`` that fade with the time ``tau`` [levels], both in 1/lambda_e."""
    since = np.array(TIMES) / tau[:, None]
    if shape == "exponential":
        return np.exp(-since)
    # The squared difference of log gamma, from five times its value at equilibrium: fades as its square.
    return np.asarray(np.log1p(4.0 * np.exp(-since / 2.0)) ** 2)


@pytest.mark.parametrize("anchor", [32.0, 128.0, 512.0])
@pytest.mark.parametrize("slope", [1.0, 0.5, 2.0])
@pytest.mark.parametrize(("shape", "bias"), [("exponential", 1e-3), ("difference of norms", 0.19)])
def test_the_time_to_forget_has_the_slope_of_its_curves(
    shape: str, bias: float, slope: float, anchor: float
) -> None:
    """Theory is read exactly. A rival whose curves are not exponential is read within 0.19, never as theory.

    ``anchor`` is the level whose time is the usual one.
    """
    tau = TYPICAL * (INVERSES / anchor) ** (slope - 1.0)
    log_times = np.log(relaxation_time(distances(tau, shape)) * INVERSES)
    read = float(np.polyfit(np.log(INVERSES), log_times, 1)[0])
    if slope == 2.0 and anchor == 32.0:
        assert read > 1.25  # the longest times leave the range that the window can tell
    else:
        assert read == pytest.approx(slope, abs=1e-3 if slope == 1.0 else bias)
    assert (abs(read - 1.0) < SLOPE_MARGIN) == (slope == 1.0)


def test_a_sum_over_the_times_would_read_a_slope_of_half_as_nearly_theory() -> None:
    """The estimator of earlier versions: it has a floor that is proportional to 1/lambda_e."""
    tau = 0.03 * (INVERSES / 32.0) ** -0.5
    counted = distances(tau, "exponential")[:, 1:]
    summed = np.maximum(np.trapezoid(counted, TIMES[1:], axis=1) / counted[:, 0], 1.0 / 32.0)
    assert np.polyfit(np.log(INVERSES), np.log(summed * INVERSES), 1)[0] > 0.8
    fitted = relaxation_time(distances(tau, "exponential"))
    assert np.polyfit(np.log(INVERSES), np.log(fitted * INVERSES), 1)[0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0, 1.05])
@pytest.mark.parametrize("intrinsic_lr", [2e-3, 3.2e-2])
@pytest.mark.parametrize("start", [0.2, 5.0])
def test_the_relaxation_rate_of_the_norm(factor: float, intrinsic_lr: float, start: float) -> None:
    """mixing-time and relaxation-rate: theory, both rivals, and a decay that is one margin too strong."""
    lr, noise, runs = 0.5, 10.0, 6
    rate = factor * float(memory_rate(intrinsic_lr))
    steps = round(2.0 / intrinsic_lr)
    reference = np.full((steps, runs), noise)
    gamma_start = start * noise / (2.0 * intrinsic_lr)
    gamma = gamma_path(gamma_start, reference, float(np.exp(-0.5 * rate)))[:steps]
    norm2 = np.sqrt(gamma) * lr
    found = relaxation_rates(
        norm2, reference, lr=lr, intrinsic_lr=intrinsic_lr, start2=np.sqrt(gamma_start) * lr
    )
    assert found == pytest.approx(np.full(runs, np.log(factor)), abs=2e-3)


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("level", [None, 0.3])
def test_the_rate_of_an_exponential(factor: float, level: float | None) -> None:
    times = tuple(np.linspace(0.0, 3.0, 12))
    design = RelaxationRate(
        estimand="x",
        margin=(-0.1, 0.1),
        margin_reason="a test",
        looks=(32,),
        false_fail=1e-3,
        rate=1.0,
        times=times,
        level=level,
    )
    curve = 0.3 + 2.0 * np.exp(-factor * np.array(times))
    assert design.fit(curve, np.zeros(()), 20) == pytest.approx(np.log(factor), abs=1e-6)


@pytest.mark.parametrize("power", [-0.5, -0.25, -1.0])
def test_the_exponent_of_growth_without_decay(power: float) -> None:
    growth = Growth(**DIGITS._asdict())
    t = growth.grid().astype(float)
    assert growth.exponents((t**-power)[:, None]) == pytest.approx([power], abs=1e-9)


@pytest.mark.parametrize("tail", [1.2, 1.5, 2.0, 4.0])
def test_the_tail_index_of_exact_quantiles(tail: float) -> None:
    n = 20000
    quantiles = ((np.arange(n) + 0.5) / n) ** (-1.0 / tail)
    assert 1.0 / hill(quantiles, 1000) == pytest.approx(tail, rel=2e-3)


class NoiseFree:
    """Runs at equilibrium without any fluctuation, with ``decay`` times as much weight decay as stated."""

    def __init__(self, experiment: Equilibrium, decay: float) -> None:
        self.experiment, self._decay = experiment, decay

    def window(self, role: str, level: Level, tensors: tuple[str, ...], n: int) -> SimpleNamespace:
        acting = msgspec.structs.replace(level, weight_decay=self._decay * level.weight_decay)
        fourth, noise, runs = acting.gain * 7.0, np.full(n, 7.0), np.ones(n)
        return SimpleNamespace(
            unit_grad2=noise,
            fourth_power=fourth * runs,
            log_norm=0.25 * np.log(fourth) * runs,
            log_cosine=np.log(acting.cosine) * runs,
            growth=0.0 * runs,
        )


LEVELS = ("equilibrium-effective-lr", "momentum-equilibrium", "angular-update", "norm-offset", "other-norms")


@pytest.mark.parametrize("decay", [1.0, 0.5, 1.1, 2.0])
@pytest.mark.parametrize("name", LEVELS)
def test_deviations_at_equilibrium_are_those_of_the_closed_forms(name: str, decay: float) -> None:
    """Theory gives 0; another decay gives what the near rival of the claim says, or cancels in a ratio."""
    (law,) = statistical_laws()[name]
    for spec in law.experiments("quick", 0):
        part = law.parts(spec)[0]
        found = law.sample(NoiseFree(spec, decay), part, 4)
        (kind,) = law.mistakes(spec, part)
        expected = np.zeros(found.shape[1]) if name == "norm-offset" else np.array(kind.expected(decay - 1.0))
        # The closed forms of the rivals are of first order in lr * wd.
        assert np.abs(found - expected).max() <= (1e-3 if decay == 1.0 else 0.02 * abs(decay - 1.0))


class Meets(SweepRuns):
    """Populations whose LRs agree within 10 % after a time proportional to (1/lambda_e)^slope."""

    def __init__(self, slope: float, reach: float = 1.0) -> None:
        super().__init__(Sweep(levels=(2e-3, 4e-3, 8e-3, 1.6e-2), **DIGITS._asdict()), Lab(CONTEXT, 1))
        self.slope, self.reach = slope, reach

    def norm2(self, kind: str, level: float, tensors: tuple[str, ...], n: int) -> Array:
        steps = np.arange(self.sweep.steps(level), dtype=float)[:, None]
        meets = self.reach * 100.0 * (8e-3 / level) ** self.slope
        jitter = 1e-3 * np.random.default_rng(int(1e6 * level)).standard_normal(n)
        gap = math.log(1.1) * np.exp(math.log(10.0) * (1.0 - steps / meets)) * np.exp(jitter)
        return self.sweep.lr_of(kind) * np.exp(-gap if kind == "fast" else 0.0 * gap)


@pytest.mark.parametrize("slope", [1.0, 0.5, 1.5])
def test_the_slope_of_the_times_until_two_lrs_agree(slope: float) -> None:
    found = Meets(slope).meeting_slopes((), 48)
    assert found is not None
    assert found.mean() == pytest.approx(slope, abs=5e-3)
    assert found.std() < 0.1


def test_lrs_that_do_not_agree_in_time_give_no_slope() -> None:
    assert Meets(1.0, reach=100.0).meeting_slopes((), 48) is None


class Scaled(NoiseFree):
    """At equilibrium, with a squared noise proportional to lambda_e^power, and runs that differ a little."""

    def window(self, role: str, level: Level, tensors: tuple[str, ...], n: int) -> SimpleNamespace:
        noise = (100.0 * level.intrinsic_lr) ** self._decay
        jitter = 0.01 * np.random.default_rng(int(1e6 * level.intrinsic_lr)).standard_normal(n)
        log_norm = 0.25 * np.log(level.gain * noise) + jitter
        return SimpleNamespace(unit_grad2=np.full(n, noise), log_norm=log_norm)


@pytest.mark.parametrize(("power", "verdict"), [(0.0, "holds"), (0.4, "violated")])
def test_the_raw_square_root_of_lambda_e_is_judged_by_itself(power: float, verdict: str) -> None:
    """If the noise changes with lambda_e, the paper's wording is violated, and the change explains it."""
    (law,) = statistical_laws()["equilibrium-effective-lr"]
    spec = law.experiments("quick", 0)[0]
    seen: Any = SimpleNamespace(
        spec=spec, runs=Scaled(spec, power), n=64, tensors=("w",), about=lambda: {"group": "w", "subject": {}}
    )
    finding = equilibrium_effective_lr.raw(seen, cast(Any, SimpleNamespace(n_steps=1)))
    assert (finding.form, finding.counts, finding.verdict) == ("raw", False, verdict)
    assert finding.expected == pytest.approx(2.0)
    ratio = 2.0 * 4.0 ** (-power / 2.0)
    assert finding.measured.value == pytest.approx(ratio, rel=0.01)
    assert f"the ratio would be {ratio:.4g}" in finding.message
    assert "weight decay" in finding.rivals[-1].name


def levels_of(name: str) -> list[tuple[str, float]]:
    found = []
    for law in statistical_laws()[name]:
        for spec in law.experiments("quick", 0):
            for part in law.parts(spec):
                design = law.designed(spec, part, 1e-5)
                if hasattr(design, "coefficients"):
                    found += [(design.estimand, float(value)) for value in slopes(design)]
    return found


def slopes(design: object) -> Array:
    """The estimate from noise-free power laws, of theory and then of every rival, less the right exponent."""
    powers = [design.theory, *(rival.expected for rival in design.rivals)]  # type: ignore[attr-defined]
    x, c = np.log(design.levels), design.coefficients()  # type: ignore[attr-defined]
    return np.array([c @ (3.0 + power * x) - power for power in powers])


@pytest.mark.parametrize("name", ["mixing-time", "function-mixing-time", "heavy-tails", "periodic-behaviour"])
def test_slopes_over_levels_are_right_for_theory_and_for_every_rival(name: str) -> None:
    found = levels_of(name)
    assert found
    assert all(abs(gap) < 1e-9 for _, gap in found)
