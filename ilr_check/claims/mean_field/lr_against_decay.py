"""How much more the effective LR answers to lr than to weight decay: by the memory of the initial norm."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ilr_check.claims.claim import Finding, Judged, Profile
from ilr_check.claims.figures import against_theory
from ilr_check.claims.findings import reported
from ilr_check.claims.lab import Lab
from ilr_check.claims.law import Examined, Part, StatisticalLaw
from ilr_check.claims.mean_field.trainings.noise_references import (
    TrainingSpec,
    TransferReadings,
    TransferRuns,
    run_steps,
)
from ilr_check.claims.mean_field.trainings.raw import judge_raw
from ilr_check.claims.mistakes import Mistake, mistake, too_much_decay
from ilr_check.claims.settings.nets import NARROW
from ilr_check.claims.settings.subjects import BESIDE, DIGITS, NOISE, Subject
from ilr_check.data import DigitsSpec
from ilr_check.evidence import ClaimText, Figure, Measured
from ilr_check.stats import CurveEquivalence, Rival, estimate
from ilr_check.theory.progress import memory
from ilr_check.theory.relaxation import memory_rate

Array = NDArray[np.float64]

TEXT = ClaimText(
    id="lr-against-decay",
    title="Other runs' noise predicts how much more lr counts than decay",
    statement=(
        "From one initial norm, lr is multiplied by c and the weight decay divided by c, so that lambda_e = "
        "lr * weight_decay stays the same. After T steps the effective LR, lr / ||w||^2, follows from the "
        "noise of other runs. If the noise does not depend on c, the logarithm of the effective LR changes "
        "by m log c, where m = (gamma_0 / gamma_T) exp(-4 lambda_e T) is the memory of the initial norm and "
        "gamma = ||w||^4 / lr^2. So at first lr alone counts (m = 1), and in the end only the product (m = "
        "0). In the control the noise is constant. A row of its own says whether m is found on real nets."
    ),
    equation="∂ln effLR/∂ln η − ∂ln effLR/∂ln λ = (γ₀/γ_T)·e^(−4λₑT)",
    source="derived from Li, Lyu, Arora 2020, Theorem 5.1; asked by reviewer 1, point 5",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=(
        "memory exp(-2 lambda_e T)",
        "memory exp(-8 lambda_e T)",
        "only the product counts",
        "only lr counts",
    ),
    meaning=(
        "lr and weight decay do not enter as lr * gradient and lr * weight_decay: one of them has another "
        "power, or the initial norm is forgotten at another rate."
    ),
    blind=(
        "a gradient that is off by one factor at both lr in the judged runs and in the noise references; and "
        "the loss, whose derivative is reported, because the theory does not predict it. A weight decay that "
        "is off by less than 20 % at both lr moves m by less than the margin; it shows in the steps alone."
    ),
)

TOLERANCE = 0.02
"""The tolerance in m, which runs from 1 to 0. The farther rivals are 0.25 away or more."""

FACTORS = dict(zip(TEXT.rivals[:2], (0.5, 2.0), strict=True))
"""The rate of forgetting under two rivals, relative to theory."""

REPORTED = 1e-2
"""The chance that an interval of the reported derivative of the loss misses."""


class TwoSettings(TrainingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training at ``factor`` times lr and one at lr / ``factor``, of equal lr * weight_decay.

    ``times`` are the judged times in units of 1/lambda_e. At the time ``raw_time`` the memory is near 1/2.
    ``planned_sd`` is above the largest standard deviation, 0.040, of 128 runs with the seed 31337.
    """

    weight_decay: float = 0.008
    factor: float = 1.5
    initial_norm: float = 1.0
    times: tuple[float, ...] = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)
    raw_time: float = 0.2
    planned_sd: float | None = 0.05
    looks: tuple[int, ...] = (64, 128, 256)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay."""
        return self.lr * self.weight_decay

    @property
    def steps(self) -> int:
        """Steps of every training: the norm before the last step is the last judged one."""
        return int(self.grid()[-1]) + 1

    @property
    def log_ratio(self) -> float:
        """log of the ratio of the two lr."""
        return 2.0 * math.log(self.factor)

    def schedule(self) -> Array:
        """The LR at each step."""
        return np.full(self.steps, self.lr)

    def decays(self) -> Array:
        """The weight decay at each step."""
        return np.full(self.steps, self.weight_decay)

    def grid(self) -> NDArray[np.intp]:
        """Steps at which the effective LR is compared."""
        return np.round(np.array(self.times) / self.intrinsic_lr).astype(np.intp)

    def memory(self, power: float = 1.0) -> Array:
        """Return m at the judged times from an initial norm at equilibrium, with ``power`` times its rate."""
        return np.asarray(np.exp(-power * float(memory_rate(self.intrinsic_lr)) * self.grid()))

    def at(self, power: int) -> TwoSettings:
        """Return the training at lr * factor^power."""
        c = self.factor**power
        return msgspec.structs.replace(self, lr=self.lr * c, weight_decay=self.weight_decay / c)


class BothTrained:
    """The runs of both settings. Each has a lab of its own, so that a row of the sample is one seed."""

    def __init__(self, spec: TwoSettings, lab: Lab) -> None:
        self.spec = spec
        self.arms = tuple(
            TransferRuns(training, lab.part(run_steps(training))) for training in (spec.at(1), spec.at(-1))
        )

    def readings(self, part: Part) -> tuple[TransferReadings[TwoSettings], TransferReadings[TwoSettings]]:
        """Return what the runs at the large and at the small lr say about one group."""
        large, small = (TransferReadings(runs, part.tensors) for runs in self.arms)
        return large, small

    def measured(self, part: Part, n: int) -> Array:
        """Return the difference of the log effective LR over that of log lr, [n, times]."""
        large, small = (r.log_effective_lr(n) for r in self.readings(part))
        return np.asarray((large - small) / self.spec.log_ratio)

    def predicted(self, part: Part, n: int) -> Array:
        """Return the same from the noise of other runs, [times]."""
        large, small = (r.log_predicted(n) for r in self.readings(part))
        return np.asarray((large - small) / self.spec.log_ratio)

    def unexplained(self, part: Part, n: int) -> Array:
        """Return what the noise of other runs does not explain of the measured difference, [n, times].

        Each row includes how well the noise references determine the prediction.
        """
        large, small = (r.deviations(n) for r in self.readings(part))
        return np.asarray((large - small) / self.spec.log_ratio)

    def memory(self, part: Part, n: int) -> Array:
        """Return m at the judged times, with what noise has added to gamma_T from other runs at both
        settings."""
        spec = self.spec
        progress = float(memory_rate(spec.intrinsic_lr)) * spec.grid()
        start = (spec.initial_norm**2 * len(part.tensors) / spec.lr) ** 2
        left = start * np.exp(-progress)
        ends = [np.exp(-2.0 * r.log_predicted(n)) for r in self.readings(part)]
        added = [end - left * spec.factor**power for end, power in zip(ends, (-2.0, 2.0), strict=True)]
        return memory(start, left + np.mean(added, axis=0), progress)

    def loss_answers(self, n: int) -> Array:
        """Return the difference of the loss over that of log lr, [n, times].

        The loss is that of the run's own batches, averaged over the last tenth of the time.
        """
        large, small = (runs.judged.gather(n, lambda trace: trace.loss) for runs in self.arms)
        return np.stack(
            [
                (large - small)[max(0, at - max(5, at // 10)) : at].mean(axis=0) / self.spec.log_ratio
                for at in self.spec.grid()
            ],
            axis=1,
        )


Seen = Examined[TwoSettings, BothTrained]


def near_equilibrium(subject: Subject) -> TwoSettings:
    """Return a training that starts from about its equilibrium norm, for G^2 = 5."""
    spec = TwoSettings(**subject._asdict())
    norm = math.sqrt(spec.lr) * (5.0 / (2.0 * spec.intrinsic_lr)) ** 0.25
    return msgspec.structs.replace(spec, initial_norm=norm)


def experiments(profile: Profile, seed: int) -> list[TwoSettings]:
    """Return the reference net and the control; beyond ``quick`` a residual CNN and larger batches."""
    found = [near_equilibrium(DIGITS), control()]
    if profile != "quick":
        found += [near_equilibrium(BESIDE[name]) for name in ("residual CNN", "BatchNorm, batch 128")]
    return found


def control() -> TwoSettings:
    """Return the training whose noise has constant trace, from its equilibrium norm, so that m = e^-s."""
    spec = TwoSettings(
        title="control: digits, noise of constant trace",
        net=NARROW,
        data=DigitsSpec(),
        noise=NOISE,
        planned_sd=0.02,
        looks=(32, 64),
    )
    norm = (
        math.sqrt(spec.lr)
        * (NOISE.size**2 / -math.expm1(-0.5 * float(memory_rate(spec.intrinsic_lr)))) ** 0.25
    )
    return msgspec.structs.replace(spec, initial_norm=norm)


def finite_difference(m: Array, spec: TwoSettings) -> Array:
    """Return the difference quotient over both settings where the derivative in the middle is ``m``.

    gamma_T = A + B c^-2 at c times lr, of which m = B / (A + B) is memory at c = 1. With u the log of the
    ratio of both lr, this is log[(A + B e^u) / (A + B e^-u)] / (2u) = m + m (1 - m)(1 - 2m) u^2 / 6 + ...
    """
    u = spec.log_ratio
    return np.asarray((np.log1p(m * math.expm1(u)) - np.log1p(m * math.expm1(-u))) / (2.0 * u))


def design(spec: TwoSettings, part: Part, alpha: float) -> CurveEquivalence:
    """Return the design for the difference at all times at once."""
    finite = 2.0 * spec.intrinsic_lr
    room = TOLERANCE + finite
    theory = finite_difference(spec.memory(), spec)
    others = [finite_difference(spec.memory(power), spec) for power in FACTORS.values()]
    gaps = [other - theory for other in (*others, np.zeros(len(theory)), np.ones(len(theory)))]
    what = "the memory m" if spec.noise else "that from other runs' noise"
    return CurveEquivalence(
        estimand=f"d log effLR / d log lr less d log effLR / d log wd, less {what}",
        points=len(theory),
        margin=(-room, room),
        margin_reason=f"finite lambda_e {finite:.3f} (2 lambda_e) + tolerance {TOLERANCE}",
        rivals=tuple(
            Rival(name=name, expected=tuple(gap.tolist()))
            for name, gap in zip(TEXT.rivals, gaps, strict=True)
        ),
        looks=spec.looks,
        false_fail=alpha,
        sd=spec.planned_sd,
    )


def mistakes(spec: TwoSettings, part: Part) -> tuple[Mistake, ...]:
    """Return the mistake of too much decay, in constant noise from equilibrium."""

    def effect(factor: float) -> tuple[float, ...]:
        left = spec.memory(factor)
        m = left / ((1.0 - left) / factor + left)
        return tuple((finite_difference(m, spec) - finite_difference(spec.memory(), spec)).tolist())

    return (too_much_decay(effect),)


def sample(runs: BothTrained, part: Part, n: int) -> Array:
    """Return what is judged, one row a seed, [n, times]."""
    if runs.spec.noise:
        return runs.measured(part, n) - finite_difference(runs.spec.memory(), runs.spec)
    return runs.unexplained(part, n)


def words(seen: Seen) -> str:
    """Return what was found at each time, beside the memory."""
    found, m = seen.runs.measured(seen.part, seen.n).mean(axis=0), _from_memory(seen)
    rows = (f"{t:g}: {a:.3f} ({b:.3f})" for t, a, b in zip(seen.spec.times, found, m, strict=True))
    return f"how much more lr counts than weight decay, by lambda_e T (the memory m): {', '.join(rows)}"


def findings(seen: Seen, main: Finding) -> tuple[Finding, ...]:
    """Return the verdict and, on a real net, whether the memory is found there as it stands."""
    return (main,) if seen.spec.noise else (main, raw(seen, main))


def raw(seen: Seen, main: Finding) -> Finding:
    """Judge the memory against real nets, where the noise may depend on lr."""
    spec, runs, n = seen.spec, seen.runs, seen.n
    at = spec.times.index(spec.raw_time)
    m, explained = float(_from_memory(seen)[at]), float(runs.predicted(seen.part, n)[at])
    return judge_raw(
        explained + runs.unexplained(seen.part, n)[:, at],
        theory=m,
        margin=TOLERANCE + 2.0 * spec.intrinsic_lr,
        quantity=f"how much more lr counts than weight decay after {spec.raw_time:g}/lambda_e steps",
        says="the memory of the initial norm says",
        because="it presupposes that the noise does not depend on lr",
        explanation=(
            f"with the noise of other runs at both lr it would be {explained:.3f}, because a net that has "
            "moved farther at the larger lr has other noise"
        ),
        rivals={"only the product counts": 0.0, "only lr counts": 1.0},
        near=mistake("the initial norm is forgotten {} faster", lambda size: m ** (1.0 + size)),
        n_steps=main.n_steps,
        **seen.about(),
    )


def closing(spec: TwoSettings, runs: BothTrained, subject: dict[str, Any], n: int) -> Judged:
    """Report the derivative of the training loss in the same direction."""
    intervals = [estimate([column], [1.0], rate=REPORTED) for column in runs.loss_answers(n).T]
    last = intervals[-1]
    rows = (
        f"{t:g}: {x.value:.4f} [{x.low:.4f}, {x.high:.4f}]"
        for t, x in zip(spec.times, intervals, strict=True)
    )
    found = reported(
        group="training loss",
        subject=subject,
        quantity=f"d loss / d log lr less d loss / d log wd after {spec.times[-1]:g}/lambda_e steps",
        measured=Measured(value=last.value, low=last.low, high=last.high),
        n_runs=n,
        n_steps=2 * spec.steps,
        message=f"the theory does not predict it; by lambda_e T: {', '.join(rows)}",
    )
    return Judged((found,))


def figure(seen: Seen) -> Figure:
    """Draw the judged curve around its prediction."""
    spec = seen.spec
    theory = _from_memory(seen) if spec.noise else seen.runs.predicted(seen.part, seen.n)
    return against_theory(
        spec.times,
        theory,
        seen.design,
        seen.decision,
        x_label="steps x lambda_e",
        y_label="how much more lr counts than weight decay",
        caption=(
            "At 1 the effective LR answers to lr alone, at 0 only to lr * weight_decay. The line is "
            + ("the memory of the initial norm." if spec.noise else "predicted from the noise of other runs.")
        ),
    )


def _from_memory(seen: Seen) -> Array:
    spec = seen.spec
    m = spec.memory() if spec.noise else seen.runs.memory(seen.part, seen.n)
    return finite_difference(m, spec)


LAW = StatisticalLaw(
    text=TEXT,
    spec=TwoSettings,
    experiments=experiments,
    run_steps=lambda spec: 2 * run_steps(spec),
    trained=BothTrained,
    design=design,
    sample=sample,
    steps=lambda spec, part: 2 * spec.steps,
    form=lambda spec, part: "prediction" if spec.noise else "transfer",
    message=words,
    mistakes=mistakes,
    figure=figure,
    findings=findings,
    closing=closing,
)
CLAIM = LAW.claim()
