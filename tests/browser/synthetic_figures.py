"""Made-up figures: curves that follow the theory, and one of gaps, infinities and hostile names."""

from __future__ import annotations

import numpy as np
from synthetic_records import HOSTILE

from ilr_check.evidence import Figure, Series


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
    """Return figures with hostile names, gaps, infinities, and values that a log axis cannot show."""
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
