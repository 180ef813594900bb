"""The claims about growth without decay and the return to equilibrium refute broken trainers."""

from dataclasses import replace

import msgspec
import pytest
from broken_rules import decay_halved, decay_twice, decay_written_first
from torch import Tensor
from worlds import stepping_by

from ilr_check.claims.claim import Context
from ilr_check.claims.mean_field import no_decay_growth, relaxation_rate
from ilr_check.claims.mean_field.no_decay_growth import Growth
from ilr_check.claims.mean_field.relaxation_rate import Return
from ilr_check.data import DigitsSpec
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper, UpdateRule

pytestmark = [
    pytest.mark.on_push(
        "test_another_rate_is_refuted[decay_halved]",
        "test_growth_that_is_not_sgds_is_refuted[hidden_decay]",
    ),
    pytest.mark.usefixtures("compiled"),
]

CONTEXT = Context(seed=0, profile="quick", default_alpha=1e-4)
NET = MLPSpec(inputs=64, widths=(24,), classes=10)
GROWTH = Growth(title="cheap", net=NET, data=DigitsSpec(label_noise=0.5), steps=400, first=20, looks=(64,))
# With 64 runs in one interim analysis the design would refuse to begin: too few for its planned spread.
RETURN = Return(title="cheap", net=NET, data=DigitsSpec(label_noise=0.5), weight_decay=0.064, looks=(144,))


def hidden_decay(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Decays by a fixed 1 % although weight decay is 0."""
    return 0.99 * w - h.lr * g, None


def fixed_length(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Normalises the gradient: gamma then grows as t^2."""
    size = g.flatten(1).norm(dim=1).reshape(-1, *[1] * (g.dim() - 1))
    return w - h.lr * g / size, None


def projected(w: Tensor, g: Tensor, buffer: Tensor | None, h: StepHyper) -> tuple[Tensor, None]:
    """Puts the weights back to the norm they had."""
    lanes = (-1, *[1] * (w.dim() - 1))
    new = w - h.lr * g
    return new * (w.flatten(1).norm(dim=1) / new.flatten(1).norm(dim=1)).reshape(lanes), None


def in_world(rule: UpdateRule | None) -> Context:
    """Return the context in which every run steps by ``rule``, or that of plain training for ``None``."""
    return replace(CONTEXT, world=stepping_by(rule) if rule else None)


def growth(rule: UpdateRule | None) -> tuple[str, list[str]]:
    context = in_world(rule)
    (finding,) = no_decay_growth.CLAIM.judge(msgspec.to_builtins(GROWTH), context).findings
    return finding.verdict, [rival.name for rival in finding.rivals if not rival.excluded]


def way_back(rule: UpdateRule | None) -> tuple[str, list[str]]:
    context = in_world(rule)
    (finding,) = relaxation_rate.CLAIM.judge(msgspec.to_builtins(RETURN), context).findings
    return finding.verdict, [rival.name for rival in finding.rivals if not rival.excluded]


@pytest.mark.parametrize("rule", [hidden_decay, fixed_length, projected])
def test_growth_that_is_not_sgds_is_refuted(rule: UpdateRule) -> None:
    assert growth(rule)[0] == "violated"


@pytest.mark.parametrize("rule", [None, decay_written_first, decay_twice])
def test_growth_without_decay_does_not_ask_how_decay_is_written(rule: UpdateRule | None) -> None:
    assert growth(rule) == ("holds", [])


@pytest.mark.parametrize("rule", [decay_halved, decay_twice])
def test_another_rate_is_refuted(rule: UpdateRule) -> None:
    assert way_back(rule)[0] == "violated"


@pytest.mark.parametrize("rule", [None, decay_written_first])
def test_the_right_rate_passes(rule: UpdateRule | None) -> None:
    assert way_back(rule) == ("holds", [])
