"""A rule in parts steps each tensor as torch's optimizer with the same param groups does."""

import numpy as np
import pytest
import torch

from ilr_check.optim.composed import CLIP_EPS, Part, composed, for_language_models
from ilr_check.optim.modelled import MODELLED

STEPS, LANES = 4, 2
SHAPES = {"embedding.weight": (5, 3), "q.0.weight": (3, 3), "last.gain": (3,)}


def stepped(rule, hyper: dict[str, float], gradients: list[dict[str, torch.Tensor]]):
    """Return the weights after steps of a rule, and after each step what it used as gradients."""
    columns = {name: np.full((STEPS, LANES), value) for name, value in {**rule.defaults, **hyper}.items()}
    numbers = rule.coefficients(columns)
    weights = start()
    state = {n: tuple(torch.zeros_like(w) for _ in rule.of(n).slots) for n, w in weights.items()}
    for t, given in enumerate(gradients):
        row = tuple(torch.from_numpy(values[t].copy()) for values in numbers)
        used = rule.limited(given, row)
        for name, w in weights.items():
            shaped = tuple(c.reshape(-1, *[1] * (w.dim() - 1)) for c in row)
            weights[name], state[name] = rule.of(name).step(w, used[name], state[name], shaped)
    return weights


def start() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        n: torch.randn(LANES, *shape, generator=generator, dtype=torch.float64) for n, shape in SHAPES.items()
    }


def gradients() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {n: torch.randn(LANES, *s, generator=generator, dtype=torch.float64) for n, s in SHAPES.items()}
        for _ in range(STEPS)
    ]


HYPER = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.9, "dampening": 0.0}


def torchs(lane: int, groups: list[dict], optimizer, max_norm: float | None) -> dict[str, torch.Tensor]:
    """Return the weights of one lane after steps of torch's optimizers, with torch's own clipping."""
    weights = {n: torch.nn.Parameter(w[lane].clone()) for n, w in start().items()}
    steppers = [optimizer([weights[n] for n in group.pop("names")], **group) for group in groups]
    for given in gradients():
        for n, p in weights.items():
            p.grad = given[n][lane].clone()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(weights.values()), max_norm)
        for stepper in steppers:
            stepper.step()
    return {n: p.detach() for n, p in weights.items()}


@pytest.mark.parametrize("max_norm", [None, 0.5, 2.0, 100.0])
def test_adamw_with_decay_on_matrices_only_is_torchs(max_norm: float | None) -> None:
    found = stepped(
        for_language_models("adamw", max_norm=max_norm), {**HYPER, "matrices.lr": 0.5}, gradients()
    )
    for lane in range(LANES):
        groups = [
            {"names": ["embedding.weight"], "lr": 0.02, "weight_decay": 0.3, "betas": (0.9, 0.95)},
            {"names": ["q.0.weight"], "lr": 0.01, "weight_decay": 0.3, "betas": (0.9, 0.95)},
            {"names": ["last.gain"], "lr": 0.02, "weight_decay": 0.0, "betas": (0.9, 0.95)},
        ]
        expected = torchs(lane, groups, torch.optim.AdamW, max_norm)
        for name, w in found.items():
            if max_norm is None:
                assert torch.equal(w[lane], expected[name])
            else:
                # The norm of all gradients is summed in another order.
                torch.testing.assert_close(w[lane], expected[name], rtol=1e-13, atol=1e-13)


def test_without_factors_and_clipping_a_part_steps_as_its_rule_alone_to_the_last_bit() -> None:
    alone = MODELLED["lion"]
    whole = composed("lion", Part(name="all", rule=alone))
    found = stepped(whole, HYPER, gradients())
    expected = stepped(alone, HYPER, gradients())
    assert all(torch.equal(found[n], w) for n, w in expected.items())


def test_muon_steps_matrices_inside_the_blocks_and_adamw_the_rest() -> None:
    rule = for_language_models("muon", max_norm=None)
    found = stepped(rule, HYPER, gradients())
    assert rule.of("q.0.weight").dimensions == 2
    assert rule.of("embedding.weight").dimensions is None
    adamw = stepped(for_language_models("adamw", max_norm=None), HYPER, gradients())
    assert torch.equal(found["embedding.weight"], adamw["embedding.weight"])
    assert not torch.equal(found["q.0.weight"], adamw["q.0.weight"])


def test_a_gradient_below_the_limit_is_left_alone_and_one_above_is_cut_to_it() -> None:
    rule = for_language_models("sgd", max_norm=1.0)
    small, large = 1e-3, 1e3
    given = {
        n: g * torch.tensor([small, large]).reshape(-1, *[1] * (g.dim() - 1))
        for n, g in gradients()[0].items()
    }
    used = rule.limited(given, (torch.full((LANES,), 1.0, dtype=torch.float64),))
    assert all(torch.equal(used[n][0], given[n][0]) for n in given)
    norm = sum(float(g[1].square().sum()) for g in used.values()) ** 0.5
    assert norm == pytest.approx(1.0, abs=2 * CLIP_EPS)


def test_a_part_has_hyper_parameters_of_its_own() -> None:
    rule = for_language_models("adamw")
    assert rule.defaults["matrices.beta2"] == 0.95
    assert rule.defaults["gains.weight_decay"] == 0.0
    columns = {name: np.full((1, 1), v) for name, v in {**rule.defaults, **HYPER, "ends.lr": 3.0}.items()}
    assert rule.columns_of("head.weight", columns)["lr"] == pytest.approx(0.06)
    assert rule.columns_of("q.0.weight", columns)["lr"] == pytest.approx(0.02)
    assert rule.columns_of("last.gain", columns)["weight_decay"] == 0.0


def test_a_tensor_without_a_part_and_two_parts_of_one_name_are_refused() -> None:
    part = Part(name="gains", rule=MODELLED["adamw"], tensors=("*.gain",))
    with pytest.raises(ValueError, match=r"pattern for the tensor 'q\.0\.weight'"):
        composed("gains only", part).of("q.0.weight")
    with pytest.raises(ValueError, match="two parts of one name"):
        composed("twice", part, part)
