"""A run folder made up for the reporters' tests: every verdict word, every series kind, hostile names, NaN.

The curves follow the theory, so that a person who looks at the report sees what a real one looks like.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ilr_check.evidence import (
    ClaimText,
    Figure,
    Manifest,
    Margin,
    Measured,
    PlannedUnit,
    Record,
    RivalOutcome,
    RunFolder,
    Series,
)

HOSTILE = "</script><img src=http://example.invalid/x.png onerror=\"alert('hit')\"><b>{{ 7*7 }}"

SUBJECT = {
    "net": {"family": "mlp", "norm": "bn", "depth": 3, "width": 32, "eps": 0.0, "activation": "relu"},
    "data": {"name": "digits", "labels": "true"},
    "hyper": {"lr": 0.8, "weight_decay": 0.0025, "batch": 64},
}


def claim_texts() -> tuple[ClaimText, ...]:
    """The five claims of the group ``core``."""

    def text(
        id: str, title: str, kind: str, chapter: str, source: str, equation: str, **rest: Any
    ) -> ClaimText:
        groups = ("core", chapter)
        return ClaimText(
            id=id,
            title=title,
            kind=kind,
            chapter=chapter,
            source=source,
            equation=equation,
            groups=groups,
            **rest,
        )

    return (
        text(
            "gradient-orthogonality",
            "The gradient is orthogonal to the weights",
            "exact",
            "exact",
            "Li, Lyu, Arora 2020, Lemma 2.1",
            "⟨∇L_B(w), w⟩ = 0",
            statement="For every scale-invariant group of weights and every minibatch, the gradient has no "
            "component along the weights.",
            rivals=("BatchNorm with eps 1e-3", "the head"),
            meaning="Some group that is treated as scale-invariant is not, so no other claim applies to it.",
        ),
        text(
            "norm-recursion",
            "The squared norm follows its recursion",
            "exact",
            "exact",
            "Li, Lyu, Arora 2020, eq. (8)",
            "‖w′‖² = (1 − ηλ)²‖w‖² + η²‖g‖²",
            statement="At every SGD step the squared norm shrinks by the square of the decay factor "
            "and grows by "
            "the squared update.",
            rivals=("a instead of a²", "decay after the step"),
            meaning="The optimizer does not apply weight decay the way SGD with L2 regularisation does.",
        ),
        text(
            "lr-wd-equivalence",
            "Learning rate, weight decay and scale are one family",
            "exact",
            "exact",
            "Li, Lyu, Arora 2020, Theorem 2.4",
            "(η, λ, w₀) ≙ (cη, λ/c, √c·w₀)",
            statement="Multiplying the learning rate by c, dividing the weight decay by c and scaling "
            "the initial "
            "weights by the square root of c leaves the path in function space unchanged.",
            rivals=("learning rate alone", "without √c"),
            meaning="The learning rate acts in some other way than through its product with the "
            "weight decay.",
        ),
        text(
            "sqrt-recovery",
            "After a 10x learning-rate drop the effective LR recovers to 1/√10",
            "statistical",
            "mean-field",
            "Li, Lyu, Arora 2020, Section 4.2, eq. (29)",
            "η_eff(t)/η_eff(0) = [k + (k² − k)·exp(−4λₑt)]^(−1/2)",
            statement="Dropping the learning rate by k lowers the effective learning rate by k at "
            "once; it then "
            "recovers, and ends only √k below where it was.",
            rivals=("1/k", "1", "k^(−1/3)"),
            meaning="The equilibrium norm does not scale as the fourth root of lr/wd: either "
            "training had not "
            "reached equilibrium before the drop, or the gradient noise depends on the learning rate.",
        ),
        text(
            "mixing-time",
            "The time to equilibrium is proportional to 1/(lr · wd)",
            "statistical",
            "mean-field",
            "Li, Lyu, Arora 2020, Section 4.1, eq. (28)",
            "log T = −log(ηλ) + const",
            statement="The norm relaxes to its equilibrium in a number of steps inversely proportional "
            "to the "
            "intrinsic learning rate.",
            rivals=("slope −1/2", "slope −2"),
            meaning="Some other time scale than the intrinsic learning rate governs the norm.",
        ),
    )


def record(id: str, claim: str, verdict: str, **changes: Any) -> Record:
    """A record with plausible defaults; ``changes`` are its fields."""
    exact = claim in ("gradient-orthogonality", "norm-recursion", "lr-wd-equivalence")
    form = "exact" if exact else "transfer"
    fields: dict[str, Any] = {
        "id": id,
        "claim": claim,
        "kind": "exact" if exact else "statistical",
        "form": form,
        "group": "generated nets" if exact else "digits, mlp-bn",
        "subject": SUBJECT,
        "verdict": verdict,
        "measured": Measured(0.021),
        "expected": 0.0,
        "margin": Margin(None, 1.0),
        "detectable": None if exact else 0.021,
        "false_fail": 0.0 if exact else 6.25e-5,
        "false_pass": 0.0 if exact else 1e-2,
        "rivals": (),
        "n_runs": 200 if exact else 32,
        "n_steps": 4 if exact else 4000,
        "seed": 0,
        "device": "cpu",
        "dtype": "float64" if exact else "float32",
        "seconds": 3.2,
        "message": "",
        "replay": f"ilr-check replay reports/runs/0#{id}",
        "unit": f"unit-{id}",
        "unit_size": 1,
        "quantity": "largest residual over its rounding bound" if exact else "effective LR after over before",
    }
    return Record(**(fields | changes))


def healthy_records() -> list[Record]:
    """What a run in which everything holds leaves behind."""
    events = {"norm: bn": 88, "norm: gn": 41, "norm: ln": 52, "norm: in": 19, "batch of 2 (degenerate)": 9}
    drop = (
        RivalOutcome("1/10", 0.1, True),
        RivalOutcome("1", 1.0, True),
        RivalOutcome("10^(−1/3)", 0.464, True),
    )
    slope = (RivalOutcome("slope −1/2", -0.5, True), RivalOutcome("slope −2", -2.0, True))
    return [
        record("orth-gen", "gradient-orthogonality", "holds", events=events, figure="residuals"),
        record(
            "orth-digits", "gradient-orthogonality", "holds", group="digits, mlp-bn", n_runs=8, n_steps=400
        ),
        record(
            "norm-gen",
            "norm-recursion",
            "holds",
            events=events,
            measured=Measured(0.34),
            figure="norm-dynamics",
        ),
        record(
            "equiv-gen",
            "lr-wd-equivalence",
            "holds",
            events={"plain": 70, "momentum": 66, "nesterov": 64},
            measured=Measured(0.0),
            margin=Margin(0.0, 0.0),
            quantity="elements that differ bitwise",
        ),
        record(
            "sqrt-transfer",
            "sqrt-recovery",
            "holds",
            measured=Measured(0.3184, 0.3121, 0.3249),
            expected=0.3171,
            margin=Margin(0.3030, 0.3319),
            rivals=drop,
            figure="recovery",
        ),
        record(
            "sqrt-identity",
            "sqrt-recovery",
            "holds",
            form="identity",
            measured=Measured(0.3176, 0.3168, 0.3185),
            expected=0.3177,
            margin=Margin(0.3141, 0.3213),
            rivals=drop,
            figure="recovery",
        ),
        record(
            "sqrt-raw",
            "sqrt-recovery",
            "skipped",
            form="raw",
            counts=False,
            measured=Measured(0.3184, 0.3121, 0.3249),
            expected=0.31623,
            margin=Margin(0.3131, 0.3194),
            message="The noise grew by 1.6 % after the drop, which explains a deviation of 0.8 %.",
        ),
        record(
            "mixing-slope",
            "mixing-time",
            "holds",
            quantity="slope of log T against log(lr · wd)",
            measured=Measured(-1.004, -1.031, -0.977),
            expected=-1.0,
            margin=Margin(-1.06, -0.94),
            detectable=0.11,
            rivals=slope,
            figure="mixing",
        ),
    ]


def hostile_records() -> list[Record]:
    """All other verdict words, names that try to break out, and numbers that are none."""
    undecided = (RivalOutcome("1/10", 0.1, True), RivalOutcome("10^(−1/3)", 0.464, False))
    return [
        record(
            "norm-wd-twice",
            "norm-recursion",
            "violated",
            group="planted: weight decay twice",
            measured=Measured(8.1e6),
            message="Step 3 of run 5: ‖w′‖² is 0.9960 of what the recursion gives; weight decay acts twice.",
            events={"momentum": 120, "lr of zero": 4},
        ),
        record(
            "sqrt-resnet",
            "sqrt-recovery",
            "inconclusive",
            group="digits, resnet-gn",
            measured=Measured(0.329, 0.301, 0.357),
            expected=0.3168,
            margin=Margin(0.3030, 0.3319),
            rivals=undecided,
            message="The interval straddles the margin after three looks and 96 runs.",
            n_runs=96,
        ),
        record(
            "mixing-diverged",
            "mixing-time",
            "error",
            group="digits, mlp-ln",
            measured=Measured(None, None, None),
            expected=None,
            margin=Margin(),
            detectable=None,
            message="Run 3 of 8 became NaN at step 1204.\nlr 6.4 is above what this net stands.",
        ),
        record(
            "mixing-skip",
            "mixing-time",
            "skipped",
            group="gpu",
            measured=Measured(None),
            message="no GPU here",
        ),
        record(
            "equiv-expected",
            "lr-wd-equivalence",
            "expected_failure",
            group="Adam",
            measured=Measured(0.9, 0, 9),
        ),
        record("equiv-pass", "lr-wd-equivalence", "unexpected_pass", group="Lion"),
        record(
            f"hostile {HOSTILE}",
            "gradient-orthogonality",
            "violated",
            group=HOSTILE,
            quantity=HOSTILE,
            message=HOSTILE,
            replay=HOSTILE,
            measured=Measured(float("inf"), float("nan"), 3.0),
            subject={HOSTILE: [HOSTILE, None, float("nan")]},
            events={HOSTILE: 3},
            rivals=(RivalOutcome(HOSTILE, None, False),),
            figure="hostile",
        ),
        record(
            "unknown-claim", f"claim-the-manifest-lacks {HOSTILE}", "holds", measured=Measured(0.5, 0.1, 0.9)
        ),
    ]


def build(path: Path, *, hostile: bool = True) -> RunFolder:
    """Write the run folder and return it."""
    records = healthy_records() + (hostile_records() if hostile else [])
    units = tuple(PlannedUnit(key=r.unit, claim=r.claim, title=r.group) for r in records)
    if hostile:
        units += (PlannedUnit(key="late", claim="mixing-time", title=f"function space {HOSTILE}"),)
    manifest = Manifest(
        command="ilr-check verify --claims core --profile quick" + (f" --out {HOSTILE}" if hostile else ""),
        created="2026-01-15T09:30:00Z",
        settings={
            "claims": "core",
            "executor": None,
            "batch": 64,
            "hostile" if hostile else "looks": HOSTILE,
        },
        versions={"python": "3.12.3", "ilr-check": "0.1.0", "torch": "2.13.0", "numpy": "2.3.1"},
        hardware={"system": "Linux x86_64", "cores": 2, "threads": 2, "gpu": None},
        git={"commit": "3c0b740d2f1", "dirty": False},
        claims=claim_texts(),
        units=units,
        budget={
            "total": 1e-3,
            "inconclusive": 1e-2,
            "planned": {"sqrt-recovery/mlp-bn": 5e-4, "mixing-time/slope": 4e-4, "mixing-time/gpu": 1e-4},
            "spent": {"sqrt-recovery/mlp-bn": 5e-4, "mixing-time/slope": 4e-4},
            "skipped": {"mixing-time/gpu": "no GPU here"},
            "spent_total": 9e-4,
        },
        status="interrupted" if hostile else "complete",
        seconds=187.4,
    )
    if not hostile:
        manifest.settings.pop("looks")
    folder = RunFolder.create(path, manifest)
    folder.append(records)
    for figure in figures() + ([hostile_figure()] if hostile else []):
        folder.save_figure(figure)
    return folder


def figures() -> list[Figure]:
    """Recovery curve, mixing time, residuals and norm dynamics, with noise like that of 32 runs."""
    rng = np.random.default_rng(0)
    return [_recovery(rng), _mixing(rng), _residuals(rng), _norms(rng)]


def _recovery(rng: np.random.Generator) -> Figure:
    k, le = 10.0, 0.002
    t = np.arange(-300.0, 3000.0, 1.0)
    after = np.clip(t, 0, None)

    def curve(k: float, rate: float) -> np.ndarray:
        return np.where(t < 0, 1.0, (k + (k * k - k) * np.exp(-rate * le * after)) ** -0.5)

    theory = curve(k, 4)
    smooth = np.convolve(rng.normal(0, 0.25, len(t) + 49), np.ones(50) / 50, mode="valid")
    mean = theory * np.exp(0.35 * smooth)
    width = 0.035 * theory
    return Figure(
        name="recovery",
        title="Effective learning rate after a 10x drop",
        x_label="steps after the drop",
        y_label="effective LR, relative to before",
        y_log=True,
        caption="The measured band (32 runs) should cover the predicted curve, jump to 1/10 at "
        "step 0 and end "
        "at 1/√10. The rivals share the jump and part from the data afterwards.",
        series=(
            Series(
                name="margin around the prediction",
                kind="band",
                role="margin",
                x=t,
                low=theory * 0.955,
                high=theory * 1.047,
            ),
            Series(
                name="measured, 95 % of 32 runs",
                kind="band",
                role="measured",
                x=t,
                low=mean - width,
                high=mean + width,
            ),
            Series(name="measured mean", kind="line", role="measured", x=t, y=mean),
            Series(name="predicted (transfer)", kind="line", role="predicted", x=t, y=theory),
            Series(name="rival: rate 2λₑ", kind="line", role="rival", x=t, y=curve(k, 2)),
            Series(name="rival: rate 8λₑ", kind="line", role="rival", x=t, y=curve(k, 8)),
            Series(
                name="rival: no recovery, 1/10", kind="line", role="rival", x=t, y=np.where(t < 0, 1.0, 0.1)
            ),
            Series(name="1/√10", kind="line", role="reference", x=t[[0, -1]], y=np.full(2, 10**-0.5)),
        ),
    )


def _mixing(rng: np.random.Generator) -> Figure:
    le = np.geomspace(3e-4, 1e-2, 7)
    time = 0.7 / le * np.exp(rng.normal(0, 0.03, 7))
    span = np.geomspace(2.5e-4, 1.2e-2, 50)
    middle = 0.7 / np.sqrt(3e-4 * 1e-2)

    def law(slope: float) -> np.ndarray:
        return middle * (span / np.sqrt(3e-4 * 1e-2)) ** slope

    return Figure(
        name="mixing",
        title="Relaxation time of the norm against the intrinsic learning rate",
        x_label="lr · wd",
        y_label="relaxation time [steps]",
        x_log=True,
        y_log=True,
        caption="On these axes the theory is a straight line of slope −1.",
        series=(
            Series(
                name="measured, 99.9 % intervals",
                kind="interval",
                role="measured",
                x=le,
                y=time,
                low=time * 0.88,
                high=time * 1.13,
            ),
            Series(name="predicted, slope −1", kind="line", role="predicted", x=span, y=law(-1)),
            Series(name="rival: slope −1/2", kind="line", role="rival", x=span, y=law(-0.5)),
            Series(name="rival: slope −2", kind="line", role="rival", x=span, y=law(-2)),
            Series(
                name="control: other lr, same lr · wd",
                kind="points",
                role="control",
                x=le,
                y=time * np.exp(rng.normal(0, 0.04, 7)),
            ),
        ),
    )


def _residuals(rng: np.random.Generator) -> Figure:
    small = np.log10(rng.lognormal(-4.5, 1.0, 1500))
    planted = np.log10(rng.lognormal(6.0, 1.2, 600))
    return Figure(
        name="residuals",
        title="Residual over its rounding bound",
        x_label="log₁₀(residual / bound)",
        y_label="minibatches",
        caption="Everything measured lies left of 0; the control is a net whose BatchNorm eps is 1e-3.",
        series=(
            Series(name="measured", kind="histogram", role="measured", y=np.append(small, [-np.inf] * 12)),
            Series(name="control: eps 1e-3", kind="histogram", role="control", y=planted),
            Series(name="bound", kind="line", role="margin", x=np.zeros(2), y=np.array([0.0, 1.0])),
        ),
    )


def _norms(rng: np.random.Generator) -> Figure:
    t = np.linspace(0, 4000, 4001)
    theory = (1 + 15 * np.exp(-0.004 * t)) ** 0.25
    return Figure(
        name="norm-dynamics",
        title="Norm of the weights, measured over predicted",
        x_label="step",
        y_label="‖w‖",
        series=(
            Series(name="predicted by the recursion", kind="line", role="predicted", x=t, y=theory),
            Series(
                name="layer 1",
                kind="line",
                role="measured",
                x=t,
                y=theory * (1 + 0.004 * rng.normal(size=4001)),
            ),
            Series(name="layer 2", kind="line", role="measured", x=t, y=1.2 * theory),
            Series(name="decay after the step", kind="line", role="rival", x=t, y=0.93 * theory),
        ),
    )


def hostile_figure() -> Figure:
    """Names that try to break out, gaps, infinities, and values that a log axis cannot show."""
    x = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    y = np.array([np.nan, 1.0, -2.0, np.inf, 5.0])
    nothing = np.full(5, np.nan)
    return Figure(
        name="hostile",
        title=HOSTILE,
        x_label=HOSTILE,
        y_label=HOSTILE,
        caption=HOSTILE,
        y_log=True,
        series=(
            Series(name=HOSTILE, kind="points", role="measured", x=x, y=y),
            Series(name="gaps", kind="band", role="margin", x=x, low=y, high=y + 1),
            Series(name="bars", kind="interval", role="control", x=x, y=y, low=y - 1, high=nothing),
            Series(name="nothing at all", kind="line", role="rival", x=x, y=nothing),
            Series(name="empty", kind="histogram", role="reference", y=np.empty(0)),
        ),
    )
