"""What claims about language models read off their runs, on runs whose truth is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ilr_check.claims.claim import Context
from ilr_check.claims.lab import Lab
from ilr_check.claims.language_models import lm_norm_relaxation, lm_time_scale
from ilr_check.claims.language_models.lm_norm_relaxation import EACH, MEAN, Switch, SwitchRuns
from ilr_check.claims.language_models.trainings import hidden
from ilr_check.data.text import rows_held_out, text_spec
from ilr_check.nets import TransformerSpec, build
from ilr_check.nets.transformers import mean_loss

Array = NDArray[np.float64]
QUICK = lm_norm_relaxation.experiments("quick", 0)
RUNS = 4


class NoiseFree(SwitchRuns):
    """Runs whose norms are those of the prediction, with ``decay`` times the weight decay."""

    def __init__(self, spec: Switch, decay: dict[str, float]) -> None:
        self.switch, self.decay = spec, decay

    def norms(self, names: tuple[str, ...], n: int) -> Array:
        """Return squared norms that differ by the prediction, [sides, matrices, steps, n]."""
        difference = np.stack(
            [
                self.switch.prediction(self.decay.get(name, 1.0))
                if self.decay.get(name, 1.0)
                else np.ones(STEPS)
                for name in names
            ]
        )
        apart = np.repeat(difference[..., None], n, axis=-1)
        return np.stack([3.0 + 0.5 * apart, 3.0 - 0.5 * apart])


STEPS = len(QUICK[0].prediction())


@pytest.mark.parametrize("spec", QUICK, ids=lambda spec: spec.title)
def test_the_rate_is_read_exactly_off_the_theory_and_its_rivals(spec: Switch) -> None:
    mean, each = lm_norm_relaxation.parts(spec)
    assert (mean.what, each.what) == (MEAN, EACH)
    for decay in (1.0, 0.5, 2.0):
        runs = NoiseFree(spec, dict.fromkeys(mean.tensors, decay))
        expected = next(
            (
                rival.expected
                for rival in lm_norm_relaxation.design(spec, mean, 1e-5).rivals
                if (decay < 1.0) == (cast(float, rival.expected) < 0.0)
            ),
            0.0,
        )
        read = lm_norm_relaxation.sample(runs, mean, RUNS)
        assert read == pytest.approx(expected if decay != 1.0 else 0.0, abs=1e-9)
    runs = NoiseFree(spec, {mean.tensors[0]: 0.0})
    kinds = len(mean.tensors) // spec.net.blocks
    assert lm_norm_relaxation.sample(runs, each, RUNS)[0] == pytest.approx([-0.5] + [0.0] * (kinds - 1))


def test_the_prediction_has_the_rate_2_lr_wd_once_the_old_lr_is_forgotten() -> None:
    """The averages of the optimizer delay the start; later the share of a stride is 1 - a^(2 stride)."""
    for spec in QUICK:
        slow = msgspec.structs.replace(spec, weight_decay=spec.weight_decay / 50.0, after=4001)
        curve = slow.prediction()
        share = 1.0 - curve[-1] / curve[-101]
        expected = 1.0 - (1.0 - slow.intrinsic_lr) ** (200 * hidden.STRIDE)
        assert share == pytest.approx(expected, rel=0.01)


def test_only_the_hidden_matrices_have_the_changed_lr_and_a_weight_decay() -> None:
    rule = hidden.hidden_rule("muon")
    columns = {name: np.full((1, 1), value) for name, value in rule.defaults.items()}
    columns |= {name: np.full((1, 1), 0.5) for name in ("lr", "weight_decay", "momentum", "dampening")}
    columns |= {"ends.lr": np.full((1, 1), 0.1), "gains.lr": np.full((1, 1), 0.1)}
    spec = hidden.small_model("post")
    for name in build(spec, dtype=torch.float32, device="cpu").state_dict():
        inside = name in {m for names in hidden.kinds(spec).values() for m in names}
        own = rule.columns_of(name, columns)
        assert own["lr"].item() == (0.5 if inside else 0.05)
        assert own["weight_decay"].item() == (0.5 if inside else 0.0)


def test_the_held_out_loss_is_that_of_the_model() -> None:
    tiny = TransformerSpec(context=16, width=8, blocks=1, heads=1, mlp_width=8, placement="post")
    spec = msgspec.structs.replace(
        lm_time_scale.pair("post", "adamw"),
        net=tiny,
        data=text_spec(context=16),
        steps=10,
        window=5,
    )
    lab = Lab(Context(seed=3, profile="quick"), 10)
    runs = lm_time_scale.PairRuns(spec, lab)
    read = runs.read(lm_time_scale.HIDDEN, "held-out loss", 2)
    trace = runs.populations[lm_time_scale.HIDDEN].take(2)[0]
    rows = rows_held_out(spec.data, lm_time_scale.ROWS)[0]
    module = build(tiny, dtype=torch.float32, device="cpu")
    for run in range(2):
        weights = {name: w[run] for name, w in trace.final.items()}
        assert read[run] == pytest.approx(float(mean_loss(module, rows, rows, weights)), rel=1e-5)
    shares = runs.read(lm_time_scale.HIDDEN, "predictions", 2)
    assert shares.shape == (2, lm_time_scale.ROWS * 16)
    assert -np.log(shares).mean(axis=1) == pytest.approx(read)


def test_a_rotation_is_the_angle_between_the_weights_before_and_after_a_step() -> None:
    spec = lm_time_scale.pair("post", "adamw")
    angle, shape = 0.01, (spec.steps // hidden.STRIDE, 3, 12)
    names = tuple(f"{kind}.{i}.weight" for kind in hidden.invariant_kinds(spec.net) for i in (0, 1))
    trace: Any = SimpleNamespace(
        names=names,
        norm2=np.full(shape, 4.0),
        inner=np.full(shape, 4.0 * np.cos(angle)),
        turned2=np.full(shape, 4.0 * np.sin(angle) ** 2),
    )
    runs = lm_time_scale.PairRuns(spec, Lab(Context(seed=0, profile="quick"), 1))
    assert runs._rotation(trace) == pytest.approx(np.log(np.tan(angle)))
