"""Batch size: the trace of the noise falls as 1/B, lambda_e / B is the temperature, linear scaling ends."""

from __future__ import annotations

from ilr_check.claims.claim import Profile
from ilr_check.claims.law import SeveralLaws
from ilr_check.claims.mean_field.trainings import temperature
from ilr_check.claims.mean_field.trainings.batch_noise import POWERS, Traces, trace_law
from ilr_check.claims.mean_field.trainings.grid import GridCell
from ilr_check.claims.mean_field.trainings.scaling_rule import NO_BREAK, NOISE_ALONE, Ladder, ladder_law
from ilr_check.claims.mean_field.trainings.temperature import Temperature, limit_law
from ilr_check.claims.settings.nets import GROUP_NORMED, LAYER_NORMED, STUDENT
from ilr_check.evidence import ClaimText
from ilr_check.nets.specs import NetSpec

TEXT = ClaimText(
    id="batch-size",
    title="The noise of a batch falls as 1/B and acts as a temperature",
    statement=(
        "If a batch of B examples is drawn with replacement, the trace of its gradient noise is 1/B of that "
        "of one example. Noise and mean gradient together set the weight norm; the mean gradient's part "
        "grows with B and ends the linear scaling of lr with B. In the limit of small steps, loss and "
        "effective LR / B at equilibrium depend on lambda_e / B alone, where lambda_e = lr * weight_decay."
    ),
    equation="Tr Σ_B = Tr Σ₁/B,  r⁴ = η²(‖∇L‖² + Tr Σ₁/B)/(1 − a²),  f(λₑ/B) as λₑ → 0",
    source="theory of Li, Lyu, Arora 2020 at several B, which it leaves out; asked by reviewers 2 and 3",
    kind="statistical",
    chapter="mean-field",
    groups=("mean-field",),
    rivals=(*POWERS, NO_BREAK, NOISE_ALONE, *temperature.RIVALS),
    meaning=(
        "The examples of a batch are not independent draws (they are drawn without replacement, repeated, or "
        "a part is lost in accumulation), the gradient is not their mean, or weight decay is not "
        "lr * weight_decay."
    ),
    blind=(
        "nets with BatchNorm, in which B changes the loss. The effect of finite lambda_e on the loss is "
        "reported and not judged."
    ),
)

PLANNED_LIMIT = {"loss": (0.025, 0.18), "temperature": (800.0, 19_000.0)}
"""The largest sd of a population's limit and the smallest effect of the control, LayerNorm net, seed 99."""


def nets(profile: Profile) -> dict[str, NetSpec]:
    """Return a LayerNorm net; beyond ``quick`` also a GroupNorm net."""
    found: dict[str, NetSpec] = {"LayerNorm net": LAYER_NORMED}
    return found if profile == "quick" else found | {"GroupNorm net": GROUP_NORMED}


def traces(profile: Profile, seed: int) -> list[Traces]:
    """Return the batches whose noise is compared, for each net."""
    return [Traces(title=f"trace, {name}", net=net, data=STUDENT) for name, net in nets(profile).items()]


def ladders(profile: Profile, seed: int) -> list[Ladder]:
    """Return the trainings with growing B and lr, for each net."""
    return [
        Ladder(
            title=f"linear scaling, {name}",
            net=net,
            data=STUDENT,
            cells=tuple(GridCell(lr=0.5 * k, weight_decay=0.032, batch_size=16 * k) for k in (1, 2, 4, 8)),
            probe_size=64,
            ratios=(0.3, 0.7),
            planned_sd=0.06,
            break_sd=0.25,
            looks=(64, 128),
        )
        for name, net in nets(profile).items()
    ]


def limits(profile: Profile, seed: int) -> list[Temperature]:
    """Return the three populations of the limit; lambda_e is scaled by lr, then by weight decay."""
    return [
        temperature.temperature(
            f"limit, {name}",
            net,
            STUDENT,
            reference=GridCell(lr=0.5, weight_decay=0.032, batch_size=8),
            factor=4,
            by="lr" if name == "LayerNorm net" else "weight_decay",
            planned=PLANNED_LIMIT,
        )
        for name, net in nets(profile).items()
    ]


LAW = SeveralLaws(TEXT, trace_law(TEXT, traces), ladder_law(TEXT, ladders), limit_law(TEXT, limits))
CLAIM = LAW.claim()
