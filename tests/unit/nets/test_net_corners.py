"""Degenerate cases by name. Each is compared with the real gradient."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from ilr_check.nets import (
    AttentionSpec,
    CNNSpec,
    MLPSpec,
    NetSpec,
    NormSpec,
    ResNetSpec,
    build,
    degenerate,
    set_sizes,
)

LAYER, INSTANCE = NormSpec(kind="layer"), NormSpec(kind="instance")
RMS, STANDARD = NormSpec(kind="rms"), NormSpec(kind="weight_standard")


@pytest.mark.parametrize(
    ("spec", "batch", "word"),
    [
        (MLPSpec(inputs=5, widths=(4,), classes=3), 2, "set of two"),
        (MLPSpec(inputs=5, widths=(4,), classes=3), 1, "set of one"),
        (MLPSpec(inputs=1, widths=(4,), classes=3), 8, "fan-in of one"),
        (MLPSpec(inputs=5, widths=(6, 1), classes=3, norm=LAYER), 8, "set of one"),
        (MLPSpec(inputs=5, widths=(8,), classes=3, norm=NormSpec(kind="group", groups=4)), 8, "set of two"),
        (
            CNNSpec(image=(1, 3, 3), channels=(2, 2), classes=3, strides=(2, 2), norm=INSTANCE),
            8,
            "set of one",
        ),
        (ResNetSpec(shape=(5,), width=1, blocks=1, classes=3, norm=LAYER), 8, "set of one"),
        (MLPSpec(inputs=5, widths=(1,), classes=3, norm=RMS), 8, "set of one without a mean"),
        (MLPSpec(inputs=1, widths=(4,), classes=3, norm=NormSpec(kind="weight_norm")), 8, "without a mean"),
        (MLPSpec(inputs=1, widths=(4,), classes=3, norm=STANDARD), 8, "set of one: dead"),
        (MLPSpec(inputs=2, widths=(4,), classes=3, norm=STANDARD), 8, "set of two"),
        (AttentionSpec(shape=(3, 4), width=1, blocks=1, classes=3, norm=LAYER), 8, "set of one"),
    ],
)
def test_corner_is_named_and_its_gradient_is_rounding(spec: NetSpec, batch: int, word: str) -> None:
    assert word in (degenerate(spec, batch) or "")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, spec.inputs, generator=generator, dtype=torch.float64)
    module = build(spec)
    cross_entropy(module(x), torch.arange(batch) % spec.classes).backward()
    first = next(iter(module.parameters()))
    # rounding: some u = 1e-16, times a conditioning that four orders of magnitude allow for
    assert float(first.grad.norm() * first.detach().norm()) < 1e-12


@pytest.mark.parametrize(
    ("spec", "batch"),
    [
        (MLPSpec(inputs=5, widths=(4,), classes=3), 3),
        (MLPSpec(inputs=5, widths=(1,), classes=3), 8),
        (MLPSpec(inputs=1, widths=(4,), classes=3, norm=LAYER), 8),
        (CNNSpec(image=(1, 2, 2), channels=(2,), classes=3, norm=INSTANCE), 2),
        (MLPSpec(inputs=5, widths=(2,), classes=3, norm=RMS), 8),
        (MLPSpec(inputs=2, widths=(1,), classes=3, norm=NormSpec(kind="weight_norm")), 2),
        (AttentionSpec(shape=(2, 2), width=2, blocks=1, classes=3, norm=RMS), 2),
    ],
)
def test_ordinary_nets_are_not_called_degenerate(spec: NetSpec, batch: int) -> None:
    assert degenerate(spec, batch) is None


def test_one_token_leaves_queries_and_keys_without_effect() -> None:
    spec = AttentionSpec(shape=(1, 4), width=6, blocks=1, classes=3)
    assert "Q and K have no effect" in (degenerate(spec, 8) or "")
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    module = build(spec)
    cross_entropy(module(x), torch.arange(8) % 3).backward()
    assert float(module.get_parameter("q.0.weight").grad.norm()) < 1e-15
    assert float(module.get_parameter("o.0.weight").grad.norm()) > 1e-3


def test_set_sizes_count_what_shares_one_mean() -> None:
    strided = CNNSpec(image=(1, 5, 5), channels=(4, 6), classes=3, strides=(2, 2))
    assert set_sizes(strided, 10) == (90, 40)
    grouped = MLPSpec(inputs=5, widths=(8, 4), classes=3, norm=NormSpec(kind="group", groups=2))
    assert set_sizes(grouped, 10) == (4, 2)
    attention = AttentionSpec(shape=(3, 4), width=6, blocks=1, heads=2, classes=3, norm=NormSpec())
    assert set_sizes(attention, 10) == (30, 3, 30)
    of_weights = CNNSpec(image=(2, 3, 3), channels=(4, 5), classes=3, norm=NormSpec(kind="weight_norm"))
    assert set_sizes(of_weights, 10) == (18, 36)
