"""The words of `ilr-check sweep` become a spec, and a wrong word becomes one sentence with the fix."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from ilr_check.data import DigitsSpec, TeacherStudentSpec
from ilr_check.nets.specs import CNNSpec, MLPSpec
from ilr_check.sweep.spec import Axis, SweepSpec, data_of, grid, net_of, whole

TEACHER = TeacherStudentSpec(inputs=4, classes=3)


def spec(lr: Axis, weight_decay: Axis) -> SweepSpec:
    return SweepSpec(
        lr=lr,
        weight_decay=weight_decay,
        net=MLPSpec(inputs=4, widths=(4,), classes=3),
        data=TEACHER,
        batch_size=8,
        steps=16,
        seed=3,
        device="cpu",
    )


def test_an_axis_has_equal_ratios_and_keeps_its_ends() -> None:
    assert Axis(low=0.01, high=10.0, count=4).values() == (0.01, 0.1, 1.0, 10.0)
    assert Axis(low=0.3, high=0.3, count=1).values() == (0.3,)


def test_a_grid_names_both_axes_in_any_order() -> None:
    lr, decay = grid("weight_decay=1e-3:1e-1:3,lr=0.5")
    assert lr == Axis(low=0.5, high=0.5, count=1)
    assert decay == Axis(low=1e-3, high=1e-1, count=3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lr=0.1:1:4", "has no weight_decay; give both, such as --grid lr="),
        ("lr=0.1:1:4,wd=1e-3", "'wd=1e-3' is not understood"),
        ("lr=0.1:1:4,weight_decy=1e-3", r"did you mean 'weight_decay'\?"),
        ("lr=0.1,lr=0.2,weight_decay=1e-3", "give lr and weight_decay once each"),
        ("lr=0.1:1,weight_decay=1e-3", "lr=0.1:1: give LOW:HIGH:COUNT or one value"),
        ("lr=,weight_decay=1e-3", "lr=: give LOW:HIGH:COUNT or one value"),
        ("lr=0.1:1:many,weight_decay=1e-3", "lr=0.1:1:many: give LOW:HIGH:COUNT"),
        ("lr=1:0.1:4,weight_decay=1e-3", r"LOW and HIGH must lie in \[1e-12, 1e6\], with LOW below HIGH"),
        ("lr=0:1:4,weight_decay=1e-3", r"must lie in \[1e-12, 1e6\]"),
        ("lr=nan,weight_decay=1e-3", r"must lie in \[1e-12, 1e6\]"),
        ("lr=0.1:1:1,weight_decay=1e-3", "COUNT must be a whole number from 2 to 10000"),
        ("lr=0.1:1:101,weight_decay=1e-3:1e-2:100", "101 x 100 = 10100 runs; at most 10000"),
        ("lr=0.1:10:4,weight_decay=0.1", r"reaches lr \* weight_decay = 1; .* lower the highest lr"),
    ],
)
def test_a_grid_that_cannot_be_used_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        grid(text)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: data_of("digit"), r"did you mean 'digits'\? known are digits, "),
        (lambda: data_of("teacher-student"), "missing required field `inputs`.*a complete one is"),
        (lambda: data_of('{"kind": "digits", "noise": 1}'), "unknown field `noise`"),
        (lambda: net_of("64x64", TEACHER), "'64x64' is not understood; give the widths"),
        (lambda: net_of("0", TEACHER), r"widths\[0\]=0: must be a whole number"),
        (lambda: net_of('{"kind": "mlp"}', TEACHER), "not a net spec: .*missing required field"),
        (lambda: whole("--steps", 4, 8, 100), "--steps 4 is out of range; give a whole number from 8 to 100"),
    ],
)
def test_other_words_that_cannot_be_used_are_one_sentence(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_net_is_given_by_its_widths_or_as_json() -> None:
    assert data_of("digits") == DigitsSpec()
    assert net_of("8-6", TEACHER) == MLPSpec(inputs=4, widths=(8, 6), classes=3)
    text = '{"kind": "cnn", "image": [1, 8, 8], "channels": [4], "classes": 10}'
    assert net_of(text, DigitsSpec()) == CNNSpec(image=(1, 8, 8), channels=(4,), classes=10)


def test_a_finer_sweep_contains_the_runs_of_a_coarser_one() -> None:
    decay = Axis(low=1e-3, high=1e-3, count=1)
    coarse, fine = (spec(Axis(low=0.1, high=10.0, count=n), decay) for n in (3, 5))
    assert coarse.points() == fine.points()[::2]
    seeds = [fine.seed_of(point) for point in fine.points()]
    assert seeds[::2] == [coarse.seed_of(point) for point in coarse.points()]
    assert len(set(seeds)) == 5


def test_places_are_in_the_order_of_lr_and_then_of_weight_decay() -> None:
    found = spec(Axis(low=1.0, high=2.0, count=2), Axis(low=0.1, high=0.2, count=2)).points()
    assert found == [(1.0, 0.1), (1.0, 0.2), (2.0, 0.1), (2.0, 0.2)]
    assert math.prod(found[-1]) == 0.4
