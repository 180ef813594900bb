"""Language models whose hidden matrices are trained by one optimizer, and all other tensors by AdamW.

The hidden matrices are those inside the blocks. Embedding, head and gains have an LR of their own and no
weight decay, so that a change of LR or weight decay concerns the hidden matrices alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from ilr_check.claims.lab import Lab, Population
from ilr_check.claims.mean_field.muon_equilibrium import autocovariances
from ilr_check.data import TextSpec
from ilr_check.data.text import rows_held_out, text_spec
from ilr_check.nets.build import parameter_shapes
from ilr_check.nets.transformer_specs import Placement, TransformerSpec
from ilr_check.nets.transformers import hidden_matrices, invariant_matrices
from ilr_check.optim.composed import ENDS, GAINS, Composed, Part, composed
from ilr_check.optim.modelled import MODELLED
from ilr_check.theory.adaptive import (
    adamw,
    adamw_norm,
    changing_norm,
    decoupled,
    lion,
    lion_norm,
)
from ilr_check.theory.relaxation import equilibrium_gamma
from ilr_check.theory.sgd import squared_norm_path
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.trace import Trace

Array = NDArray[np.float64]
HiddenRule = Literal["adamw", "muon", "lion", "sgd"]
NAMES: dict[HiddenRule, str] = {"adamw": "AdamW", "muon": "Muon", "lion": "Lion", "sgd": "SGD"}

CONTEXT = 32
BETA1, BETA2 = 0.9, 0.95
"""The averages of AdamW in language models, for example in Llama and OLMo-2."""
FLUCTUATION = 0.05
"""1 - beta2: the second moment v of AdamW fluctuates, which predictions for changing norms leave out to this
order."""
MOMENTUM = 0.9
"""The momentum of Muon."""
LION = (0.9, 0.99)
"""The averages of Lion; the second remembers 100 steps."""
STRIDE = 5
"""Every fifth step is measured. A measurement of all tensors costs a tenth of a step."""


def small_model(placement: Placement) -> TransformerSpec:
    """Return a model with two blocks, which is trained in seconds."""
    return TransformerSpec(context=CONTEXT, width=32, blocks=2, heads=2, mlp_width=64, placement=placement)


def small_text() -> TextSpec:
    """Return the text that the models of this chapter are trained on."""
    return text_spec(context=CONTEXT)


def trained_with(placement: Placement, rule: HiddenRule, lr: float, weight_decay: float) -> dict[str, Any]:
    """Return the fields of an experiment that say what is trained, and by what, with its title."""
    net = small_model(placement)
    return {
        "title": f"{net.family}, {NAMES[rule]}",
        "net": net,
        "data": small_text(),
        "rule": rule,
        "lr": lr,
        "weight_decay": weight_decay,
        "batch_size": 4,
    }


class LanguageTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the populations of one experiment share. ``lr`` and ``weight_decay`` are of the hidden matrices.

    ``rest_lr`` is the LR of all other tensors, and ``initial_scale`` multiplies the initial hidden matrices.
    """

    title: str
    net: TransformerSpec
    data: TextSpec
    rule: HiddenRule
    lr: float
    weight_decay: float
    batch_size: int = 8
    rest_lr: float = 4e-3
    initial_scale: float = 2.0**0.5
    looks: tuple[int, ...] = (32,)

    @property
    def intrinsic_lr(self) -> float:
        """lr * weight_decay of the hidden matrices."""
        return self.lr * self.weight_decay

    @property
    def momentum(self) -> float:
        """The momentum of the run, which Muon reads."""
        return MOMENTUM if self.rule == "muon" else 0.0


@lru_cache(maxsize=8)
def hidden_rule(rule: HiddenRule) -> Composed:
    """Return a rule in parts: ``rule`` steps the hidden matrices, and AdamW steps the rest."""
    rest = {"beta2": BETA2, "weight_decay": 0.0}
    return composed(
        f"{rule} of hidden matrices",
        Part(name="gains", rule=MODELLED["adamw"], tensors=GAINS, hyper=rest),
        Part(name="ends", rule=MODELLED["adamw"], tensors=ENDS, hyper=rest),
        Part(name="hidden", rule=MODELLED[rule], hyper={"beta2": BETA2} if rule == "adamw" else {}),
    )


def kinds(net: TransformerSpec) -> dict[str, tuple[str, ...]]:
    """Return the hidden matrices by kind (``q``, ``k``, ...), each in all blocks."""
    found: dict[str, list[str]] = {}
    for name in hidden_matrices(net):
        found.setdefault(name.split(".")[0], []).append(name)
    return {kind: tuple(names) for kind, names in found.items()}


def invariant_kinds(net: TransformerSpec) -> tuple[str, ...]:
    """Return the kinds of hidden matrices that are scale-invariant alone, up to eps."""
    alone = set(invariant_matrices(net))
    return tuple(kind for kind, names in kinds(net).items() if alone.issuperset(names))


def judged_kinds(net: TransformerSpec) -> tuple[str, ...]:
    """Return the kinds that a claim judges: the invariant ones, or all where none is invariant."""
    return invariant_kinds(net) or tuple(kinds(net))


@lru_cache(maxsize=16)
def _muon_covariance(shape: tuple[int, ...]) -> Array:
    """Return <u_t, u_(t+k)> of the updates that Muon makes of a matrix from white noise."""
    return np.asarray(autocovariances(shape, MOMENTUM, range(8)).mean(axis=0))


def muon_correlations(width: int) -> Array:
    """Return the autocorrelations of the updates that Muon makes of a square matrix from white noise."""
    covariance = _muon_covariance((width, width))
    return np.asarray(covariance[1:] / covariance[0])


def theory(rule: str, lr: float, weight_decay: float, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return (E r^2, log of the tangent of the rotation) of one matrix if gradients were white noise."""
    if rule == "adamw":
        norm2, cosine = adamw(lr, weight_decay, math.prod(shape), BETA1, BETA2)
    elif rule == "lion":
        norm2, cosine = lion(lr, weight_decay, math.prod(shape), *LION)
    else:
        covariance = _muon_covariance(shape)
        rho = covariance[1:] / covariance[0]
        norm2, cosine = decoupled(lr, weight_decay, float(covariance[0]), rho)
    return norm2, 0.5 * math.log(1.0 / cosine**2 - 1.0)


def norm_path(rule: HiddenRule, width: int, lr: Array, weight_decay: Array) -> Array:
    """Return E r^2 before each step and after the last, over a constant, while lr and weight decay change.

    Gradients are white noise of constant size on the unit sphere. Before the first step the training was at
    equilibrium with the first lr and weight decay.
    """
    if rule == "adamw":
        return adamw_norm(lr, weight_decay, BETA1, BETA2)
    if rule == "muon":
        return changing_norm(lr, weight_decay, muon_correlations(width))
    if rule == "lion":
        return lion_norm(lr, weight_decay, *LION)
    start = float(equilibrium_gamma(lr[0] * weight_decay[0], 1.0)) ** 0.5 * lr[0]
    return squared_norm_path(start, np.ones(len(lr)), lr, weight_decay)


class LanguageRuns:
    """The populations of an experiment; nothing is trained until it is asked for."""

    def __init__(self, spec: LanguageTraining, lab: Lab) -> None:
        self.spec, self.lab = spec, lab

    def at_equilibrium(self, lr: float, weight_decay: float, size: float = 1.0) -> dict[str, float]:
        """Return the factors of the initial hidden matrices that start them at ``size`` times their squared
        norm in theory. With SGD, whose norms depend on the gradients, they are ``initial_scale``."""
        spec, shapes = self.spec, parameter_shapes(self.spec.net)
        names = hidden_matrices(spec.net)
        if spec.rule == "sgd":
            return dict.fromkeys(names, spec.initial_scale)
        # The initial entries have the variance 1 / fan_in, so that the squared norm is the number of rows.
        return {
            name: math.sqrt(size * theory(spec.rule, lr, weight_decay, shapes[name])[0] / shapes[name][0])
            for name in names
        }

    @property
    def fleet(self) -> Fleet:
        """The fleet of the experiment."""
        spec = self.spec
        return self.lab.fleet(spec.net, spec.data, batch_size=spec.batch_size, rule=hidden_rule(spec.rule))

    def population(
        self,
        name: str,
        lr: Array,
        weight_decay: Array,
        *,
        scale: float = 1.0,
        rest: float | Array = 1.0,
    ) -> Population:
        """Return runs with this LR and weight decay of the hidden matrices at each step, [steps].

        ``scale`` multiplies the initial hidden matrices, beside the spec's ``initial_scale``. The LR of all
        other tensors is ``rest``, or ``rest`` [steps], times that of the spec.
        """
        names = hidden_matrices(self.spec.net)
        scales = dict.fromkeys(names, scale * self.spec.initial_scale)
        return self.settled(name, lr, weight_decay, scales, rest=rest)

    def settled(
        self,
        name: str,
        lr: Array,
        weight_decay: Array,
        scales: Mapping[str, float],
        *,
        rest: float | Array = 1.0,
        record_every: int = STRIDE,
    ) -> Population:
        """Return the same with a factor for each initial matrix that ``scales`` names."""
        spec = self.spec
        factor = (rest * spec.rest_lr / lr)[:, None]

        def train(seeds: Sequence[int]) -> Trace:
            runs = Runs(
                seeds=seeds,
                lr=lr[:, None],
                weight_decay=weight_decay[:, None],
                momentum=spec.momentum,
                init_scale=scales,
                hyper={"ends.lr": factor, "gains.lr": factor},
            )
            return self.lab.train(self.fleet, runs, len(lr), record_every=record_every)

        return self.lab.population(name, train)


def of_kind(trace: Trace, names: Sequence[str], field: str) -> Array:
    """Return a measurement of the matrices of one kind, [recorded steps, runs, matrices]."""
    columns = [trace.names.index(name) for name in names]
    return np.asarray(getattr(trace, field)[..., columns])


CHUNK = 8
"""The number of runs whose logits are computed at once: 34 MB for 64 rows of 32 tokens."""


def held_out_log_shares(fleet: Fleet, trace: Trace, count: int) -> Array:
    """Return the log probability of every token of ``count`` held-out rows at the end, [tokens, runs]."""
    assert isinstance(fleet.data, TextSpec)
    rows = rows_held_out(fleet.data, count)[0].to(fleet.device)
    wanted = rows[:, 1:].reshape(1, -1, 1).long()
    found = []
    for start in range(0, len(trace.first_bad), CHUNK):
        weights = {name: w[start : start + CHUNK] for name, w in trace.final.items()}
        logits = fleet.logits(weights, rows[:, :-1]).flatten(1, 2)
        shares = torch.log_softmax(logits, dim=-1)
        found.append(shares.gather(2, wanted.expand(len(shares), -1, -1))[..., 0].double().cpu())
    return np.asarray(torch.cat(found).T)
