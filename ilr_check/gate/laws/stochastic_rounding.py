"""Stochastic rounding is unbiased, and no two entries or steps share a random number.

Many entries have one weight and one gradient, so each of them is a draw of the same experiment. The unrounded
step is what the optimizer makes of float32 weights. Both counts are binomial, and their intervals are exact
(Clopper and Pearson). A right optimizer is violated with probability ``FALSE_FAIL`` at most in each decision;
one that is off by ``MARGIN`` or more holds with a quarter of that probability at most.

Two entries that are drawn independently, each away from zero with probability p, go the same way with
probability p^2 + (1 - p)^2. There p is the measured share: it misses the truth by 0.014 with probability
``MISS``, which moves that number by less than ``MARGIN``, so the two probabilities of a miss add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.evidence import Margin, Measured
from ilr_check.evidence.records import VerdictWord
from ilr_check.gate.law import Circumstances, GateLaw, LeftOpen, Reading, fact_reading, law_text
from ilr_check.gate.subject import Subject

ORDER = 30
NARROW, WIDE = "bfloat16", "float32"
SPACING = 2.0**-7
"""The distance of two bfloat16 weights between 1 and 2."""
BANDS, HEIGHT, WIDTH = 8, 32, 1024
"""Eight weights, each in 32 * 1024 entries."""
LR = 0.3 * SPACING
"""A step by the sign of a gradient then ends at 0.3 or 0.7 of a spacing."""
MARGIN = 1.0 / 32.0
"""A bias in spacings. A random number of five bits or more is finer than that."""
MISS = 1e-6
"""The probability with which one interval misses the truth."""
FALSE_FAIL = 2 * MISS
"""32 decisions, eight of bias and 24 of two entries each, then take 6.4e-5 of the budget of 1e-3 at most."""
ENOUGH = 0.05
"""A step that ends nearer to a bfloat16 number, in spacings, has too little to round."""
ORDER_OF_WORDS = ("violated", "inconclusive", "holds")


@dataclass(frozen=True)
class Count:
    """A number of successes, the number of draws, and the probability that theory gives."""

    successes: int
    draws: int
    expected: float

    @property
    def deviation(self) -> float:
        return self.successes / self.draws - self.expected

    def interval(self) -> tuple[float, float]:
        """Return the interval of the deviation that misses the truth with probability ``MISS``."""
        from scipy.stats import binomtest

        found = binomtest(self.successes, self.draws).proportion_ci(1.0 - MISS, method="exact")
        return float(found.low) - self.expected, float(found.high) - self.expected

    @property
    def verdict(self) -> VerdictWord:
        low, high = self.interval()
        if low >= -MARGIN and high <= MARGIN:
            return "holds"
        return "violated" if low > MARGIN or high < -MARGIN else "inconclusive"

    @property
    def detectable(self) -> float:
        """Return the deviation that is violated with probability 0.95, by Hoeffding's inequality."""
        t = np.sqrt(np.log(np.array([2.0 / MISS, 1.0 / 0.05])) / (2.0 * self.draws))
        return MARGIN + float(t.sum())


def applies(subject: Subject) -> str:
    """Return why the law is not judged: the tag is missing, or the weights cannot be narrow."""
    if subject.tags.rounding != "stochastic":
        return "it does not declare the tag rounding=stochastic"
    missing = [name for name in (NARROW, WIDE) if name not in subject.dtypes]
    return LeftOpen(f"--dtype leaves out {' and '.join(missing)}") if missing else ""


def check(subject: Subject, circumstances: Circumstances) -> Iterable[Reading]:
    """Judge the numbers that are chosen, neighbouring entries, the bias, and two trainings."""
    rng = circumstances.generator()
    weights = np.array([1.0, -1.0] * (BANDS // 2)) * (1.0 + SPACING * rng.integers(16, 112, size=BANDS))
    weights[BANDS // 2 :] *= 2.0  # here the spacing is twice as large, and a step ends elsewhere in it
    gradients = rng.choice((-1.0, 1.0), size=BANDS) * rng.uniform(0.5, 1.5, size=BANDS)
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        wide = _bands(_stepped(subject, weights, gradients, WIDE))
        one, other = (_bands(_stepped(subject, weights, gradients, NARROW)) for _ in range(2))
    exact = wide[:, 0, 0]
    if float(np.max(np.abs(wide - exact[:, None, None]))) > 2.0**-7 * SPACING:
        told = "equal entries with equal gradients get unequal steps, so no entry repeats another's draw"
        yield Reading(group="", verdict="skipped", message=told)
        return
    inner, outer = _neighbours(exact)
    share = (np.abs(exact) - np.abs(inner)) / np.abs(outer - inner)
    judged = [k for k in range(BANDS) if ENOUGH < share[k] < 1.0 - ENOUGH]
    if not judged:
        told = "its steps end too near to bfloat16 numbers, so there is nothing to round"
        yield Reading(group="", verdict="skipped", message=told, open=True)
        return
    away = one == outer[:, None, None]
    strange = [k for k in judged if not np.all(away[k] | (one[k] == inner[k]))]
    yield fact_reading(
        not strange,
        group="a neighbour is chosen",
        message="every entry becomes one of the two bfloat16 numbers beside its float32 step",
        diagnosis=f"a step to {exact[strange[0]]:.9g} leaves weights that are neither of the two bfloat16 "
        "numbers beside it"
        if strange
        else "",
        dtype=NARROW,
    )
    if strange:
        return
    biased = _worst([Count(int(away[k].sum()), away[k].size, float(share[k])) for k in judged])
    shares = {k: float(away[k].mean()) for k in judged}
    alike = all(found in (0.0, 1.0) for found in shares.values())
    if not alike:
        neighbours = _worst([pair for k in judged for pair in _pairs(away[k], shares[k])])
        yield _reading(
            "neighbouring entries",
            neighbours,
            "share of neighbours that are rounded alike, less its expectation",
            "stochastic rounding uses one random number for neighbouring entries",
        )
        if neighbours.verdict == "violated":
            return  # Then equal entries are no independent draws, and the other counts say nothing.
    told = _alike(exact, one, other) if alike else _bias(biased)
    yield _reading("bias", biased, "share of entries rounded away from zero, less its expectation", told)
    if alike:
        return
    again = other == outer[:, None, None]
    yield _reading(
        "two trainings",
        _worst([_agreement(away[k], again[k], shares[k]) for k in judged]),
        "share of entries that two trainings round alike, less its expectation",
        "stochastic rounding uses the same random numbers again",
    )


def _stepped(subject: Subject, weights: Any, gradients: Any, dtype: str) -> torch.Tensor:
    def tensor(values: Any) -> torch.Tensor:
        whole = np.repeat(values, HEIGHT)[:, None] * np.ones((1, WIDTH))
        # Both dtypes get the same numbers, which bfloat16 holds.
        return torch.tensor(whole, device=subject.device).to(torch.bfloat16).to(getattr(torch, dtype))

    hyper = {name: v for name, v in {"lr": LR, "weight_decay": 0.0}.items() if subject.can_vary(name)}
    trial = subject.start([tensor(weights)], **hyper)
    trial.step([tensor(gradients)])
    return trial.values()[0]


def _bands(tensor: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.double().cpu().numpy()).reshape(BANDS, HEIGHT, WIDTH)


def _neighbours(exact: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bfloat16 numbers beside float32 numbers: towards zero, and away from it."""
    bits = torch.tensor(exact, dtype=torch.float32).view(torch.int32) & -65536
    inner, outer = (b.view(torch.float32).double().numpy() for b in (bits, bits + 65536))
    return inner, outer


def _pairs(away: NDArray[np.bool_], share: float) -> list[Count]:
    """Return how often neighbours in a row, and neighbours in a column, are rounded alike."""
    across, down = away.reshape(HEIGHT, -1, 2), away.reshape(-1, 2, WIDTH)
    return [
        _agreement(across[:, :, 0], across[:, :, 1], share),
        _agreement(down[:, 0, :], down[:, 1, :], share),
    ]


def _agreement(one: NDArray[np.bool_], other: NDArray[np.bool_], share: float) -> Count:
    return Count(int((one == other).sum()), one.size, share**2 + (1.0 - share) ** 2)


def _worst(counts: list[Count]) -> Count:
    return min(counts, key=lambda count: (ORDER_OF_WORDS.index(count.verdict), -abs(count.deviation)))


def _bias(count: Count) -> str:
    return (
        f"stochastic rounding is biased: steps that end {count.expected:.3f} of a spacing beyond a bfloat16 "
        f"number are rounded away from zero in {count.successes / count.draws:.3f} of the entries"
    )


def _alike(exact: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """Return what rounds all equal entries alike: a rule, or one random number."""
    if not np.array_equal(one, other):
        return "stochastic rounding uses one random number for all entries of a tensor"
    nearest = torch.tensor(exact).float().bfloat16().double().numpy()
    for rule, values in (("cut off towards zero", _neighbours(exact)[0]), ("rounded to nearest", nearest)):
        if np.array_equal(one[:, 0, 0], values):
            return f"weights are {rule} where the tag promises stochastic rounding"
    return "weights are rounded by a fixed rule where the tag promises stochastic rounding"


def _reading(group: str, count: Count, quantity: str, diagnosis: str) -> Reading:
    low, high = count.interval()
    return Reading(
        group=group,
        verdict=count.verdict,
        quantity=quantity,
        measured=Measured(value=count.deviation, low=low, high=high),
        expected=0.0,
        margin=Margin(low=-MARGIN, high=MARGIN),
        detectable=count.detectable,
        message=f"{count.successes} of {count.draws} draws, expected a share of {count.expected:.4f}",
        diagnosis=diagnosis if count.verdict == "violated" else "",
        n_steps=1,
        n_runs=count.draws,
        false_fail=FALSE_FAIL,
        false_pass=MISS / 2,
        dtype=NARROW,
    )


LAW = GateLaw(
    text=law_text(
        "stochastic-rounding",
        "Stochastic rounding is unbiased",
        "A step that ends between two bfloat16 numbers goes to each with the probability that makes its mean "
        "right, by a random number of its own for every entry and step.",
        equation="E[round(w)] = w, and draws are independent",
        source="Gupta et al. 2015; arXiv 2002.06488: truncation instead makes weights drift",
        meaning="Weights drift, or stand still, although their updates have mean zero error on paper.",
        rivals=("truncation", "rounding to nearest", "half of the noise", "one random number for all"),
    ),
    tier="exact",
    blind_to="a bias below a thirty-second of a spacing; rounding of the state; float16 weights",
    check=check,
    applies=applies,
    counts_draws=True,
)
