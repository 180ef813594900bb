"""Strategies keep their bounds and refuse impossible ones. Schedules follow their formulas."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilr_check.nets import NetSpec, depth
from ilr_check.optim.hyper import HyperParams
from ilr_check.optim.schedules import Constant, Cosine, Drops, Pauses, ScheduleSpec, Sequence, WarmUp
from ilr_check.strategies import batch_sizes, drawn, hyper_params, net_specs, schedules


@given(
    net_specs(min_depth=3, max_depth=6, min_width=5, max_width=9, norms=("group",), nets=("mlp", "resnet"))
)
def test_nets_keep_their_bounds(spec: NetSpec) -> None:
    widths = getattr(spec, "widths", None) or (spec.width,)
    assert 3 <= depth(spec) <= 6
    assert all(5 <= width <= 9 for width in widths)
    assert spec.norm.kind == "group"


@given(hyper_params(max_momentum=0.5, max_steps=7, min_batch_size=4, max_batch_size=6, max_init_scale=2.0))
def test_hyper_params_keep_their_bounds(hyper: HyperParams) -> None:
    assert 1e-4 <= hyper.lr <= 1e2
    assert 0 <= hyper.intrinsic_lr <= 1.9 * (1 + 1e-15)
    assert hyper.momentum <= 0.5
    assert 4 <= hyper.batch_size <= 6
    assert 1 <= hyper.steps <= 7
    assert 0.5 <= hyper.init_scale <= 2.0
    assert msgspec.json.decode(msgspec.json.encode(hyper), type=HyperParams) == hyper


@given(hyper_params(momentum=False))
def test_plain_sgd_on_request(hyper: HyperParams) -> None:
    assert (hyper.momentum, hyper.dampening, hyper.nesterov) == (0.0, 0.0, False)


@given(schedules(), st.integers(0, 50))
def test_schedules_give_one_factor_a_step_and_survive_json(schedule: ScheduleSpec, steps: int) -> None:
    factors = schedule.factors(steps)
    assert len(factors) == steps
    assert all(0 <= factor < float("inf") for factor in factors)
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=ScheduleSpec) == schedule


@given(schedules(min_factor=0.01))
def test_no_factor_is_zero_on_request(schedule: ScheduleSpec) -> None:
    assert min(schedule.factors(30)) >= 0.01


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(), (1.0, 1.0, 1.0, 1.0)),
        (Drops(period=2, factor=0.5), (1.0, 1.0, 0.5, 0.5)),
        (WarmUp(period=3), (1 / 3, 2 / 3, 1.0, 1.0)),
        (Cosine(), pytest.approx((1.0, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5))),
        (Pauses(period=2), (1.0, 0.0, 1.0, 0.0)),
        (Sequence(values=(2.0, 3.0, 5.0)), (2.0, 3.0, 5.0, 2.0)),
    ],
)
def test_factors_follow_their_formula(schedule: ScheduleSpec, factors: tuple[float, ...]) -> None:
    assert schedule.factors(4) == factors


def test_drawn_is_a_function_of_the_seed() -> None:
    first, again, other = (drawn(net_specs(), 10, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == 10


def test_drawn_says_when_there_are_too_few_values() -> None:
    with pytest.raises(ValueError, match=r"n=5: .*only 2 different"):
        drawn(st.booleans(), 5, 0)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (lambda: net_specs(min_depth=5, max_depth=2).example(), "depth from 5 to 2"),
        (
            lambda: net_specs(norms=("instance",), nets=("mlp",)).example(),
            "nets on images can have instance",
        ),
        (lambda: net_specs(activations=("relux",)).example(), "relux"),
        (lambda: batch_sizes(min_value=0), "batch size from 0"),
        (lambda: hyper_params(max_intrinsic_lr=2.5).example(), "max_intrinsic_lr=2.5"),
        (lambda: schedules(max_period=0), "max_period=0"),
        (lambda: HyperParams(lr=-1.0), "lr=-1.0"),
        (lambda: HyperParams(lr=1.0, momentum=1.0), "momentum=1.0"),
        (lambda: HyperParams(lr=1.0, nesterov=True), "needs momentum > 0"),
        (lambda: Drops(period=0, factor=0.5), "period=0"),
        (lambda: Sequence(values=(1.0, -1.0)), r"values\[1\]=-1.0"),
    ],
)
@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_impossible_bounds_are_refused_with_their_values(strategy, words) -> None:
    with pytest.raises(ValueError, match=words):
        strategy()
