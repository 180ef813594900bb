"""Steps that depend on whole tensors: LARS, LAMB, AdamP, Adafactor."""

from __future__ import annotations

import numpy as np

from ilr_check.optim.contracts.adam import MOMENTS, MUTATIONS, corrections, denominator, moments
from ilr_check.optim.contracts.contract import (
    DECOUPLED,
    Contract,
    Decay,
    Hyper,
    Mutation,
    Name,
    Number,
    State,
)
from ilr_check.optim.contracts.running import plain
from ilr_check.optim.symmetry import Symmetry

INSIDE = Decay(where="own")


def norm(x: Number) -> Number:
    """Return the Euclidean norm of all entries."""
    return np.sqrt((x * x).sum())


def lars(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr b' with b' = mu b + local (g + wd w) and local = c ||w|| / (||g|| + wd ||w|| + eps).

    The ratio is 1 where one of its two norms is 0. Implementations differ in four places, which may be
    declared: at a zero gradient with decay the ratio may be the formula's, or nothing decays; it may be used
    with decay only; it may have the norm of the sum, ||g + wd w||, below; and vectors may be stepped without
    the ratio, and without decay too.
    """
    size, slope = norm(w), norm(g)
    decay = h["weight_decay"]
    vectors = h.get("vectors", "adapted") if plain(w).ndim < 2 else "adapted"
    if vectors == "plain, with decay":
        local = 1.0
    elif vectors == "plain" or (plain(slope) == 0 and h.get("ratio_at_zero", "one") == "no decay"):
        local, decay = 1.0, 0.0
    elif h.get("ratio_below", "sum of norms") == "norm of the sum":
        slope = norm(g + decay * w)
        local = h["trust"] * size / (slope + h["eps"]) if plain(size) > 0 and plain(slope) > 0 else 1.0
    elif decay == 0 and h.get("ratio_used", "always") == "with decay":
        local = 1.0
    elif plain(size) > 0 and (plain(slope) > 0 or (decay > 0 and h.get("ratio_at_zero", "one") == "formula")):
        local = h["trust"] * size / (slope + decay * size + h["eps"])
    else:
        local = 1.0
    step = local * (g + decay * w)
    if h.get("lr_place", "outside") == "inside":
        step = h["lr"] * step
    if h["momentum"]:
        old = s.get("buffer")
        s["buffer"] = step = step if old is None else h["momentum"] * old + step
    return -step if h.get("lr_place", "outside") == "inside" else -h["lr"] * step


def lamb(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -lr (||w|| / ||r||) r with r = m^ / (sqrt(v^) + eps) + wd w.

    The ratio is 1 if one of its two norms is 0. Implementations differ in what they correct for its bias, in
    whether the corrections stand in the step and not in r, in a bound of 10 on ||w||, and in an eps
    that is added to ||r||. Each of these may be declared.
    """
    m, v = moments(g, s, h)
    mode, outside = h.get("debias", "both"), 1.0
    read = {**h, "bias_correction": "neither"} if mode == "neither" else h
    first, second = corrections(read, t)
    if mode == "first, in the step":
        first, second, outside = 1.0, 1.0, first
    if mode == "both, in the step":
        first, second, outside = 1.0, 1.0, first / np.sqrt(second)
    apart = "decay" in h  # declared to stand beside the step
    r = m / first / denominator(v, h, second) + (0.0 if apart else h["weight_decay"]) * w
    size, length = norm(shrunk(w, h) if h.get("decay") == "decoupled" else w), norm(r)
    if h.get("norm_bound") == "10":
        size = np.minimum(size, 10.0)
    known = plain(size) > 0 and plain(length) > 0
    below = length + h["eps"] if h.get("ratio_eps") == "added" else length
    ratio = size / below if known else 1.0
    if h.get("trust_ratio", "norms") == "at most 1":
        ratio = np.minimum(ratio, 1.0)
    return -h["lr"] / outside * ratio * r


def shrunk(w: Number, h: Hyper) -> Number:
    """Return the weights after decoupled decay, from which a step reads the norm."""
    return w - h["lr"] * h["weight_decay"] * w


def adamp(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return Adam's step without its part along w where |cos(g, w)| < delta / sqrt(n).

    Weight decay is then multiplied by wd_ratio. The condition is tried for all rows first and then for the
    whole tensor. Vectors always take Adam's step.
    """
    m, v = moments(g, s, h)
    first, second = corrections(h, t)
    step = (h["beta1"] * m + (1.0 - h["beta1"]) * g) if h["nesterov"] else m
    step = step / denominator(v, h, second)
    share = 1.0
    if plain(w).ndim > 1:
        for axes in (tuple(range(1, plain(w).ndim)), tuple(range(plain(w).ndim))):
            flat_g, flat_w = plain(g), plain(w)
            n = flat_w.size if len(axes) == flat_w.ndim else flat_w[0].size
            lengths = np.sqrt((flat_g**2).sum(axes)), np.sqrt((flat_w**2).sum(axes))
            cosine = np.abs((flat_g * flat_w).sum(axes)) / (lengths[0] + 1e-8) / (lengths[1] + 1e-8)
            if np.max(cosine) < h["delta"] / np.sqrt(n):
                along = w / (np.sqrt(_sums(w * w, axes)) + h["eps"])
                step, share = step - along * _sums(along * step, axes), h["wd_ratio"]
                break
    return -h["lr"] * h["weight_decay"] * share * w - h["lr"] / first * step


def adafactor(g: Number, w: Number, s: State, h: Hyper, t: int) -> Number:
    """Return -max(eps2, rms(w)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d) with u = g / sqrt(v).

    For a matrix, v is the product of the running means of g^2 over rows and over columns, divided by their
    common mean. A running mean gives the new value the weight t^beta2_decay. w is the weight before decay.
    """
    eps1 = h["dtype_eps"] if h["eps1"] is None else h["eps1"]
    new = float(t) ** h["beta2_decay"]
    squares = g * g
    if plain(g).ndim > 1:
        row, column = squares.mean(axis=-1, keepdims=True), squares.mean(axis=-2, keepdims=True)
        s["row"] = row = (1.0 - new) * s.get("row", 0.0 * row) + new * row
        s["column"] = column = (1.0 - new) * s.get("column", 0.0 * column) + new * column
        v = row * column / np.maximum(row.mean(axis=-2, keepdims=True), eps1)
    else:
        s["v"] = v = (1.0 - new) * s.get("v", 0.0 * squares) + new * squares
    u = g / np.sqrt(np.maximum(v, eps1 * eps1))
    rate = np.minimum(h["lr"], 1.0 / np.sqrt(float(t))) if h.get("relative_step", True) else h["lr"]
    scale = np.maximum(h["eps2"], rms(w)) if h.get("scale_parameter", True) else 1.0
    return -rate * scale / np.maximum(1.0, rms(u) / h["d"]) * u


def rms(x: Number) -> Number:
    """Return the root mean square of all entries."""
    return np.sqrt((x * x).mean())


def _sums(x: Number, axes: tuple[int, ...]) -> Number:
    for axis in axes:
        x = x.sum(axis=axis, keepdims=True)
    return x


LARS = Contract(
    name="lars",
    title="LARS: SGD with a learning rate for each layer, and decay inside of it",
    source="You, Gitman, Ginsburg 2017 (arXiv 1708.03888), algorithm 1, with lr outside of the buffer",
    update=lars,
    names={
        "lr": Name(default=1.0, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
        "momentum": Name(default=0.0, names=("momentum", "mu")),
        "trust": Name(default=1e-3, names=("trust_coeff", "trust_coefficient", "eta", "trust_coef")),
        "eps": Name(default=0.0, names=("eps", "epsilon")),
    },
    decay=INSIDE,
    degree=0.0,
    symmetry=Symmetry(arguments={"weight_decay": -2, "eps": -1}),
    momentum="b' = momentum*b + local*(g + wd*w), starting at the first one",
    settings=({}, {"momentum": 0.9}),
    mutations=(
        Mutation(sentence="lr is inside the momentum buffer", hyper={"lr_place": "inside"}),
        Mutation(sentence="the ratio is that of the formula, not 1", hyper={"ratio_at_zero": "formula"}),
        Mutation(sentence="a gradient of zeros stops weight decay", hyper={"ratio_at_zero": "no decay"}),
        Mutation(sentence="the ratio is used with weight decay only", hyper={"ratio_used": "with decay"}),
        Mutation(
            sentence="the ratio divides by the norm of the sum of gradient and decay",
            hyper={"ratio_below": "norm of the sum"},
        ),
        Mutation(sentence="vectors have no ratio and no decay", hyper={"vectors": "plain"}),
        Mutation(sentence="vectors have no ratio", hyper={"vectors": "plain, with decay"}),
        Mutation(sentence="weight decay has no effect", hyper={"weight_decay": 0.0}),
        Mutation(sentence="momentum has no effect", hyper={"momentum": 0.0}),
    ),
    variations={
        "lr_place": ("outside", "inside"),
        "ratio_at_zero": ("one", "formula", "no decay"),
        "ratio_used": ("always", "with decay"),
        "ratio_below": ("sum of norms", "norm of the sum"),
        "vectors": ("adapted", "plain", "plain, with decay"),
    },
    degrees={"ratio_used": {"with decay": 1.0}},
    mixes_entries=True,
)
LAMB = Contract(
    name="lamb",
    title="LAMB: Adam with a learning rate for each layer, and decay inside of it",
    source="You et al. 2020 (arXiv 1904.00962), algorithm 2",
    update=lamb,
    names={**MOMENTS, "eps": Name(default=1e-6, names=("eps", "epsilon"))},
    decay=INSIDE,
    degree=0.0,
    symmetry=Symmetry(arguments={"weight_decay": -1, "eps": -1}),
    momentum="exponential average of gradients from zero, corrected for its bias",
    bias_correction=True,
    settings=({}, {"beta1": 0.7, "beta2": 0.95, "eps": 1e-2}),
    mutations=(
        *(m for m in MUTATIONS if not {"amsgrad", "bias_correction"} & set(m.hyper)),
        Mutation(sentence="there is no bias correction", hyper={"debias": "neither"}),
        Mutation(
            sentence="only the step is corrected, for the bias of the first moment",
            hyper={"debias": "first, in the step"},
        ),
        Mutation(
            sentence="the step is corrected for the bias of both moments, and not what the ratio divides by",
            hyper={"debias": "both, in the step"},
        ),
        Mutation(sentence="the norm of the weights counts as 10 at most", hyper={"norm_bound": "10"}),
        Mutation(sentence="eps is added to the norm of the step", hyper={"ratio_eps": "added"}),
        Mutation(sentence="weight decay has no effect", hyper={"weight_decay": 0.0}),
        Mutation(sentence="the trust ratio is clipped at 1", hyper={"trust_ratio": "at most 1"}),
    ),
    variations={
        "bias_correction": ("both", "neither", "first only", "second only"),
        "debias": ("both", "neither", "first, in the step", "both, in the step"),
        "trust_ratio": ("norms", "at most 1"),
        "norm_bound": ("none", "10"),
        "ratio_eps": ("none", "added"),
        "eps_place": ("outside", "inside", "before correction"),
    },
    mixes_entries=True,
    several=True,  # with the gradient clipped, with other ratios and corrections
)
ADAMP = Contract(
    name="adamp",
    title="AdamP: AdamW without the radial part of the step on scale-invariant weights",
    source="Heo et al. 2021 (arXiv 2006.08217), algorithm 2, and github clovaai/AdamP",
    update=adamp,
    names={
        **MOMENTS,
        "delta": Name(default=0.1, names=("delta",)),
        "wd_ratio": Name(default=0.1, names=("wd_ratio",)),
        "nesterov": Name(default=False, names=("nesterov",)),
    },
    decay=INSIDE,
    degree=0.0,
    symmetry=None,  # one eps is added to a root of squares and to norms of the weights
    momentum="exponential average of gradients from zero, corrected for its bias",
    bias_correction=True,
    settings=({}, {"nesterov": True}, {"beta1": 0.7, "beta2": 0.95}),
    mutations=(
        *(m for m in MUTATIONS if "amsgrad" not in m.hyper),
        Mutation(sentence="the radial part is never taken out", hyper={"delta": 0.0}),
        Mutation(sentence="the radial part is always taken out", hyper={"delta": 1e6}),
        Mutation(sentence="wd_ratio has no effect", hyper={"wd_ratio": 1.0}),
        Mutation(sentence="weight decay has no effect", hyper={"weight_decay": 0.0}),
    ),
    variations={"eps_place": ("outside", "inside", "before correction")},
    exceptions={"eps-placement": "eps also guards the norms of the weights, at another power"},
    mixes_entries=True,
)
ADAFACTOR = Contract(
    name="adafactor",
    title="Adafactor with relative steps: decay by 1 - lr*wd before the step",
    source="Shazeer, Stern 2018 (arXiv 1804.04235), as torch.optim.Adafactor (no momentum)",
    update=adafactor,
    names={
        "lr": Name(default=1e-2, names=("lr", "learning_rate")),
        "weight_decay": Name(default=0.0, names=("weight_decay", "wd")),
        "beta2_decay": Name(default=-0.8, names=("beta2_decay", "decay_rate")),
        "eps1": Name(default=None, names=("eps.0",)),
        "eps2": Name(default=1e-3, names=("eps.1",)),
        "d": Name(default=1.0, names=("d", "clip_threshold")),
    },
    decay=DECOUPLED,
    degree=0.0,
    symmetry=Symmetry(arguments={"eps2": 1}),
    momentum="none",
    settings=({}, {"beta2_decay": -0.5, "d": 1.5}),
    mutations=(
        Mutation(sentence="the step does not scale with the weights", hyper={"scale_parameter": False}),
        Mutation(sentence="lr is not limited by 1/sqrt(t)", hyper={"relative_step": False}),
        Mutation(sentence="the update is not clipped", hyper={"d": 1e9}),
    ),
    variations={"scale_parameter": (True, False), "relative_step": (True, False)},
    mixes_entries=True,
    several=True,  # with momentum, with other floors, and factored from another size on
)
CONTRACTS = (LARS, LAMB, ADAMP, ADAFACTOR)
