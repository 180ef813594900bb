"""Which tensors of Llama, Qwen3, OLMo-2 and Gemma-3 are scale-invariant, and what the eps of their norms
breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec
import torch
from torch import Tensor

from ilr_check.claims.exact.checks.language_models import products
from ilr_check.claims.exact.checks.paths import UNDERFLOW
from ilr_check.claims.exact.checks.scaled_states import deviation, leaves_range, logits, scaled
from ilr_check.claims.exact_law import ExactLaw, Outcome, Worst
from ilr_check.data import TextSpec
from ilr_check.data.text import text_spec
from ilr_check.evidence import ClaimText
from ilr_check.nets import TransformerSpec, build, own_norms
from ilr_check.nets.norms import Norm
from ilr_check.nets.transformer_specs import Placement
from ilr_check.nets.transformers import Transformer
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant
from ilr_check.optim.specs import OptimizerSpec
from ilr_check.theory.norm_eps import radial_product
from ilr_check.train.loop import DTYPES, Setting, Step, steps_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ilr_check.claims.claim import Profile

EPS_ALONE = "eps left alone"
RIVALS: dict[str, tuple[Placement, bool | None, tuple[str, ...]]] = {
    "Llama: Q is invariant alone": ("pre", None, ("q.0.weight",)),
    "Llama: O is invariant alone": ("pre", None, ("o.0.weight",)),
    "Llama with a tied head: the writers of the residual stream together": (
        "pre",
        True,
        ("embedding.weight", "o.*", "down.*"),
    ),
    "Qwen3: V is invariant alone, as Q is": ("qk", None, ("v.0.weight",)),
    "OLMo-2: the gate is invariant alone, as up is": ("post", None, ("gate.0.weight",)),
    "OLMo-2: the embedding and the gains that write the residual stream": (
        "post",
        False,
        ("embedding.weight", "after_attention.*", "after_mlp.*"),
    ),
    "Gemma-3: the gate is invariant alone, as up is": ("sandwich", None, ("gate.0.weight",)),
    "Gemma-3: the embedding is invariant alone": ("sandwich", None, ("embedding.weight",)),
}
"""What is not invariant: the architecture, whether the head is tied (None is either), and the tensors."""

TEXT = ClaimText(
    id="lm-invariance",
    title="Which matrices of a language model are scale-invariant",
    statement=(
        "In OLMo-2 and Gemma-3 each Q, K, V, O, up and down is scale-invariant alone, up to the eps of one "
        "norm. In Qwen3 each Q and K is. In Llama none is. In Llama and Qwen3, the embedding with every O "
        "and every down is invariant together, unless the head is tied. Multiplying such a group by c, and "
        "the eps of the norms that read it by c^2, changes nothing. So eps makes <g, w> = -2 eps dL/d(eps), "
        "where g is the gradient of the group, w are its weights and L is the loss."
    ),
    equation="L(c·w_G, c²·ε_G) = L(w_G, ε_G);  ⟨∇L, w_G⟩ = −2 Σ ε ∂L/∂ε over the norms that read G",
    source=(
        "Euler's theorem for the joint scaling; Touvron et al. 2023 (Llama), Yang et al. 2025 (Qwen3), OLMo "
        "et al. 2024 (OLMo-2), Gemma team 2025 (Gemma-3)"
    ),
    kind="exact",
    chapter="exact",
    groups=("exact", "language-models"),
    rivals=(
        EPS_ALONE,
        "<g, w> = 0 in spite of eps",
        "half of it: <g, w> = -eps dL/d(eps)",
        *RIVALS,
    ),
    meaning=(
        "The model has its norms, its residual stream or its head in other places than its architecture "
        "says, or a norm does not divide by sqrt(mean square + eps)."
    ),
    blind=(
        "what an optimizer makes of the invariance; the size of <g, w>, which docs/language-models.md lists; "
        "and a mean square that is clamped at eps, which has the same symmetry."
    ),
)


class Trained(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A short training of a language model with AdamW, and the power of two by which its groups are
    scaled."""

    setting: Setting
    power: int

    def __post_init__(self) -> None:
        if not isinstance(self.setting.net, TransformerSpec):
            raise ValueError(f"net={self.setting.net!r}: must be a TransformerSpec")
        if not 1 <= abs(self.power) <= 20:
            raise ValueError(f"power={self.power!r}: must be within [-20, 20] and not 0")


ADAMW = OptimizerSpec(name="AdamW", args={"betas": (0.9, 0.95)})
CHECKED = 2
"""The largest number of states of a training that are checked: the first and the last."""


def check(example: Trained) -> Outcome:
    """Check the products and the joint scaling at the first and the last step of a training."""
    setting = example.setting
    net = setting.net
    assert isinstance(net, TransformerSpec)
    module = build(net, dtype=DTYPES[setting.dtype], device=setting.device)
    assert isinstance(module, Transformer)
    worst, steps, skipped = Worst(), 0, ""
    for step in steps_of(setting, ADAMW):
        if step.t not in (0, setting.hyper.steps - 1):
            continue
        values = (step.loss, *step.before.values(), *step.gradient.values())
        if not all(bool(torch.isfinite(value).all()) for value in values):
            break
        if step.t == 0:
            _rivals(example, step.x[:, :-1], worst)
        _products(module, step, worst)
        skipped = _joint_scaling(module, step, example.power, worst)
        if skipped:
            break
        steps += 1
    events = (
        f"architecture: {net.family}{', tied' if net.tied else ''}",
        f"eps: {net.eps:g}",
        f"dtype: {setting.dtype}",
        *(["keys shared by heads"] if net.groups < net.heads else []),
    )
    return worst.outcome(steps=steps, events=events, skipped=skipped)


def _products(module: Transformer, step: Step, worst: Worst) -> None:
    """Check <g, w> + 2 eps dL/d(eps) of every group."""
    for group in products(module, step.before, step.x):
        g, w = (
            torch.cat([tensors[n].double().flatten() for n in group.names])
            for tensors in (step.gradient, step.before)
        )
        inner, expected = float(g @ w), float(radial_product(module.spec.eps, group.slope))
        worst.add(inner - expected, group.bound, group="+".join(group.names), step=step.t)
        if module.spec.eps:
            worst.add_rival("<g, w> = 0 in spite of eps", inner, group.bound)
            worst.add_rival("half of it: <g, w> = -eps dL/d(eps)", inner - expected / 2.0, group.bound)


def _joint_scaling(module: Transformer, step: Step, power: int, worst: Worst) -> str:
    """Scale all groups, every second one in the other direction, and the eps of the norms that read them."""
    owners = own_norms(module.spec)
    tokens, state = step.x[:, :-1], step.before
    powers = [power * (-1) ** i for i in range(len(owners))]
    other = scaled(state, tuple(owners), [2.0**p for p in powers])
    of_norm = dict.fromkeys((name for norms in owners.values() for name in norms), 0)
    for norms, p in zip(owners.values(), powers, strict=True):
        for name in norms:
            of_norm[name] += p
    plain, alone = logits(module, state, tokens), logits(module, other, tokens)
    jointly = _with_eps(module, other, tokens, {name: 4.0**p for name, p in of_norm.items()})
    different = deviation(plain, jointly)
    if different > 0 and leaves_range(module, (state, other), tokens):
        return UNDERFLOW
    worst.add(different, 1.0, group="all groups, with their eps", step=step.t)
    if module.spec.eps:
        worst.add_rival(EPS_ALONE, deviation(plain, alone), 1.0)
    return ""


def _rivals(example: Trained, tokens: Tensor, worst: Worst) -> None:
    """Scale what is not invariant, in an architecture without eps and with the example's sizes."""
    setting = example.setting
    for rival, (placement, tied, patterns) in RIVALS.items():
        other = {} if tied is None else {"tied": tied}
        net = msgspec.structs.replace(setting.net, placement=placement, eps=0.0, **other)
        module = build(net, dtype=DTYPES[setting.dtype], device=setting.device)
        state = {name: p.detach() for name, p in module.named_parameters()}
        names = tuple(n for n in state if any(n.startswith(p.removesuffix("*")) for p in patterns))
        changed = scaled(state, (names,), [2.0**example.power])
        worst.add_rival(rival, deviation(logits(module, state, tokens), logits(module, changed, tokens)), 1.0)


def _with_eps(
    module: Transformer, state: dict[str, Tensor], tokens: Tensor, factors: dict[str, float]
) -> Tensor:
    """Return the logits with the eps of some norms multiplied."""
    norms = {name: part for name, part in module.named_modules() if isinstance(part, Norm)}
    like = next(iter(state.values()))
    try:
        for name, factor in factors.items():
            norms[name].eps = like.new_full((), module.spec.eps * factor)
        return logits(module, state, tokens)
    finally:
        for norm in norms.values():
            norm.eps = None


def _setting(net: TransformerSpec, data: TextSpec, *, batch_size: int, steps: int, **others: Any) -> Setting:
    lr, seed = others.pop("lr", 3e-3), others.pop("seed", 0)
    return Setting(
        net=net,
        data=data,
        hyper=HyperParams(lr=lr, weight_decay=0.1, batch_size=batch_size, steps=steps, seed=seed),
        lr_schedule=Constant(),
        decay_schedule=Constant(),
        **others,
    )


def _examples() -> SearchStrategy[Trained]:
    import hypothesis.strategies as st

    @st.composite
    def trained(draw: st.DrawFn) -> Trained:
        heads = draw(st.sampled_from((1, 2, 4)))
        features = draw(st.sampled_from((4, 6)))
        context = draw(st.integers(2, 8))
        # One number for both, because Hypothesis repeats what it draws from a short list.
        kind = draw(st.integers(0, 2**16))
        net = TransformerSpec(
            context=context,
            width=draw(st.integers(4, 16)),
            blocks=draw(st.integers(1, 2)),
            heads=heads,
            kv_heads=draw(st.sampled_from([n for n in (1, 2, 4) if heads % n == 0])),
            head_dim=features,
            mlp_width=draw(st.integers(4, 20)),
            placement=get_args(Placement)[kind % 4],
            tied=kind // 4 % 2 == 1,
            eps=draw(st.sampled_from((0.0, 1e-6, 1e-4, 1e-2))),
        )
        setting = _setting(
            net,
            TextSpec(context=context, limit=2**12, held_out=2**6),
            batch_size=draw(st.integers(1, 4)),
            steps=draw(st.integers(1, 3)),
            lr=draw(st.sampled_from((1e-3, 1e-2))),
            seed=draw(st.integers(0, 2**32 - 1)),
            dtype=draw(st.sampled_from(("float64", "float32"))),
        )
        return Trained(setting=setting, power=draw(st.integers(-6, 6).filter(bool)))

    return trained()


def _real(profile: Profile) -> tuple[tuple[str, Trained], ...]:
    steps = 2 if profile == "quick" else 100
    found = []
    for placement in get_args(Placement):
        net = TransformerSpec(
            context=32, width=32, blocks=2, heads=4, kv_heads=2, mlp_width=64, placement=placement
        )
        setting = _setting(net, text_spec(context=32), batch_size=8, steps=steps)
        found.append((f"{net.family} on text, {steps} steps", Trained(setting=setting, power=1)))
    return tuple(found)


LAW = ExactLaw(
    text=TEXT,
    example_type=Trained,
    examples=_examples,
    check=check,
    real=_real,
    quantity="residual / rounding bound",
)
CLAIM = LAW.claim()
