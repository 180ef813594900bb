"""Runs of a fleet are independent: each run depends only on its own seed and settings."""

import shutil
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from fleet_steps import copied, eager_fleet, watched

from ilr_check.data import TangentNoise, TeacherStudentSpec
from ilr_check.nets.build import initial_parameters
from ilr_check.nets.specs import MLPSpec
from ilr_check.optim.sgd import StepHyper
from ilr_check.train.compiling import NO_COMPILER, compiled_or_eager, has_compiler, notify
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.steps import Batch, Tally
from ilr_check.train.trace import PER_RUN, Trace

NET = MLPSpec(inputs=6, widths=(8, 5), classes=3)
DATA = TeacherStudentSpec(inputs=6, classes=3, examples=64, label_noise=0.5)
STEPS = 40


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return eager_fleet(NET, DATA)


@pytest.fixture(scope="module")
def reference(fleet: Fleet) -> Trace:
    """Train run 5 alone."""
    return fleet.train(Runs(seeds=[5], lr=0.1, weight_decay=0.02), STEPS)


def same_run(a: Trace, i: int, b: Trace, j: int) -> bool:
    """Whether run i of a and run j of b are the same to the last bit, in every measurement and weight."""
    fields = all(np.array_equal(getattr(a, f)[:, i], getattr(b, f)[:, j]) for f in PER_RUN)
    return fields and all(torch.equal(a.final[name][i], b.final[name][j]) for name in a.names)


@pytest.mark.parametrize(
    "seeds",
    [[5, 1], [1, 2, 3, 5], [1, 2, 3, 4, 5], [9, 8, 7, 6, 5, 4, 3, 2, 1]],
    ids=["beside one", "last of a chunk", "first of a new chunk", "in the second of three chunks"],
)
def test_other_runs_and_chunks_do_not_change_a_run(fleet: Fleet, reference: Trace, seeds: list[int]) -> None:
    trace = fleet.train(Runs(seeds=seeds, lr=0.1, weight_decay=0.02), STEPS)
    assert trace.loss.shape == (STEPS, len(seeds))
    assert trace.run_steps == STEPS * len(seeds)
    assert same_run(trace, seeds.index(5), reference, 0)


def test_other_runs_settings_do_not_change_a_run(fleet: Fleet, reference: Trace) -> None:
    runs = Runs(
        seeds=[1, 5, 2],
        lr=np.array([3.0, 0.1, 0.0]),
        weight_decay=np.array([0.5, 0.02, 0.0]),
        init_scale=np.array([10.0, 1.0, 0.1]),
    )
    assert same_run(fleet.train(runs, STEPS), 1, reference, 0)


def test_two_runs_with_one_seed_are_one_run_and_other_seeds_are_others(fleet: Fleet) -> None:
    trace = fleet.train(Runs(seeds=[5, 6, 5], lr=0.1, weight_decay=0.02), STEPS)
    assert same_run(trace, 0, trace, 2)
    assert not same_run(trace, 0, trace, 1)


def test_training_again_is_the_same_training(fleet: Fleet, reference: Trace) -> None:
    assert same_run(fleet.train(Runs(seeds=[5], lr=0.1, weight_decay=0.02), STEPS), 0, reference, 0)


def test_noise_of_a_run_is_its_own() -> None:
    noisy = eager_fleet(NET, DATA, noise=TangentNoise(size=0.5))
    alone = noisy.train(Runs(seeds=[5], lr=0.1, weight_decay=0.02), STEPS)
    beside = noisy.train(Runs(seeds=[1, 2, 3, 4, 5, 6], lr=0.1, weight_decay=0.02), STEPS)
    assert same_run(beside, 4, alone, 0)


@pytest.mark.parametrize("huge", [1e160, 1e300], ids=["its variance overflows", "it overflows"])
def test_a_diverged_run_does_not_touch_its_neighbours_and_says_when(
    fleet: Fleet, reference: Trace, huge: float
) -> None:
    decay = np.full((STEPS, 3), 0.02)
    decay[7:, 1] = huge
    trace = fleet.train(Runs(seeds=[5, 6, 5], lr=0.1, weight_decay=decay), STEPS)
    assert same_run(trace, 0, reference, 0)
    assert same_run(trace, 2, reference, 0)
    # At step 7 the weights grow by a factor of huge / 10, and their squared norm is no number any more.
    assert trace.first_bad.tolist() == [-1, 7, -1]
    assert np.isfinite(trace.norm2[:8, 1]).all()


def test_a_run_that_diverges_between_records_is_seen(fleet: Fleet) -> None:
    decay = np.array([0.0, 1e300])
    trace = fleet.train(Runs(seeds=[5, 6], lr=0.1, weight_decay=decay), STEPS, record_every=STEPS)
    assert trace.first_bad.tolist() == [-1, 0]


def test_not_a_number_reaches_the_loss_through_the_norm_layers(fleet: Fleet) -> None:
    weights = {name: w.clone() for name, w in initial_parameters(NET, 0).items()}
    weights["layers.0.weight"][0, 0] = float("nan")
    out = fleet.logits({name: w[None] for name, w in weights.items()}, fleet.dataset.x)
    assert bool(out.isnan().any())


def test_each_run_has_its_own_lr_and_decay(fleet: Fleet) -> None:
    lr = np.linspace(0.05, 0.2, STEPS)[:, None] * np.array([1.0, 2.0])
    decay = np.array([0.0, 0.1])
    trace = fleet.train(Runs(seeds=[5, 5], lr=lr, weight_decay=decay), STEPS)
    assert np.array_equal(trace.lr, lr)
    assert np.array_equal(trace.weight_decay, np.broadcast_to(decay, lr.shape))
    a = (1 - lr * decay)[:, :, None]
    # <g, w> = 0 up to rounding in these small nets: 1e-13 of the terms.
    predicted = a**2 * trace.norm2 + lr[:, :, None] ** 2 * trace.grad2 - 2 * lr[:, :, None] * a * trace.radial
    assert trace.next_norm2 == pytest.approx(predicted, rel=1e-13)


@pytest.mark.parametrize("norm", [2.0, np.array([0.5, 1.0, 4.0])], ids=["one for all", "one a run"])
def test_init_norm_sets_the_norm_of_every_tensor(fleet: Fleet, norm: Any) -> None:
    trace = fleet.train(Runs(seeds=[1, 2, 3], lr=0.1, weight_decay=0.0, initial_norm=norm), 1)
    expected = np.broadcast_to(np.asarray(norm), (3,))[:, None] ** 2
    assert trace.norm2[0] == pytest.approx(np.broadcast_to(expected, trace.norm2[0].shape), rel=1e-14)


def test_the_initial_weights_are_the_nets_times_the_scale(fleet: Fleet) -> None:
    scale = np.array([1.0, 4.0])
    seen, _ = watched(fleet, Runs(seeds=[3, 3], lr=0.1, weight_decay=0.0, init_scale=scale), 1)
    drawn = initial_parameters(NET, 3)["layers.0.weight"]
    assert torch.equal(seen[0].weights["layers.0.weight"][:2], torch.stack([drawn, 4 * drawn]))


@pytest.mark.parametrize(("every", "count"), [(1, 40), (3, 14), (7, 6), (100, 1)])
def test_recording_every_k_steps_thins_the_same_training(
    fleet: Fleet, reference: Trace, every: int, count: int
) -> None:
    trace = fleet.train(Runs(seeds=[5], lr=0.1, weight_decay=0.02), STEPS, record_every=every)
    assert trace.steps.tolist() == list(range(0, STEPS, every))
    assert len(trace.loss) == count
    assert np.array_equal(trace.norm2, reference.norm2[::every])
    assert torch.equal(trace.final["layers.0.weight"], reference.final["layers.0.weight"])


def test_progress_grows_to_one(fleet: Fleet) -> None:
    told: list[float] = []
    fleet.train(Runs(seeds=range(6), lr=0.1, weight_decay=0.0), STEPS, progress=told.append)
    assert told == [0.4, 0.5, 0.9, 1.0]


def test_some_runs_of_a_trace(fleet: Fleet) -> None:
    trace = fleet.train(Runs(seeds=[1, 2, 3], lr=0.1, weight_decay=0.02), 5)
    some = trace.runs(np.array([2, 0]))
    assert same_run(some, 0, trace, 2)
    assert same_run(some, 1, trace, 0)
    assert some.first_bad.shape == (2,)


def test_logits_of_all_runs_are_each_runs_own(fleet: Fleet) -> None:
    final = fleet.train(Runs(seeds=[1, 2], lr=0.1, weight_decay=0.02), 5).final
    outputs = fleet.logits(final, fleet.dataset.x)
    fleet.module.load_state_dict({name: value[1] for name, value in final.items()}, strict=False)
    assert outputs.shape == (2, 64, 3)
    assert torch.allclose(outputs[1], fleet.module(fleet.dataset.x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("inputs", "classes"), [(5, 3), (6, 2)])
def test_a_net_that_does_not_fit_the_data_is_refused(inputs: int, classes: int) -> None:
    with pytest.raises(ValueError, match=f"net has inputs={inputs}, classes={classes} and the data inputs=6"):
        eager_fleet(MLPSpec(inputs=inputs, widths=(4,), classes=classes), DATA)


def test_no_global_random_state_is_touched(fleet: Fleet) -> None:
    before = torch.random.get_rng_state()
    fleet.train(Runs(seeds=[1], lr=0.1, weight_decay=0.0), 3)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
def test_the_compiled_step_is_the_eager_one_within_rounding() -> None:
    # Each compiled step is compared with an eager one from the same state; float64, where a step of this
    # small net is exact to some 1e-15 of its terms.
    eager = eager_fleet(NET, DATA, lanes=16)
    compiled = eager_fleet(NET, DATA, lanes=16, compile=True)
    runs = Runs(seeds=range(16), lr=0.1, weight_decay=0.02)
    seen, trace = watched(compiled, runs, 12)
    assert trace.first_bad.tolist() == [-1] * 16
    gaps = []
    for step in seen:
        zero = torch.zeros(16, dtype=torch.float64)
        hyper = StepHyper(zero + 0.1, zero + 0.02, zero, zero)
        after, state = copied(step.weights), dict.fromkeys(eager.names, ())
        examples, batch = (eager.dataset.x, eager.dataset.y), Batch(step.index, step.label)
        with torch.no_grad():
            eager._step(after, state, Tally.new(16, "cpu"), examples, batch, {}, hyper)
        gaps += [float((after[n] - step.after[n]).abs().max() / after[n].abs().max()) for n in after]
    assert max(gaps) < 1e-13


def test_without_a_compiler_training_is_eager_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    notify.cache_clear()
    fleets = [eager_fleet(NET, DATA, compile=True) for _ in range(3)]
    trace = fleets[0].train(Runs(seeds=[1], lr=0.1, weight_decay=0.0), 3)
    assert np.isfinite(trace.loss).all()
    assert [fleet.choice.compiled for fleet in fleets] == [False] * 3
    assert [record.getMessage() for record in caplog.records] == [NO_COMPILER]
    assert fleets[2].choice.notice == NO_COMPILER


def test_nobody_who_did_not_ask_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled_or_eager(len, wanted=False) is len
