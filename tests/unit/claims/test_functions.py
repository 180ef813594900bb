"""Populations of functions: interim analyses change no run and extend one another, and norms use the training
set."""

from functools import cache

import numpy as np
import pytest
import torch
from torch.func import functional_call

from ilr_check.claims.claim import Context
from ilr_check.claims.function_space.trainings.functions import (
    FunctionRuns,
    Functions,
    History,
    Stage,
)
from ilr_check.claims.lab import Lab, RunDiverged
from ilr_check.data import DigitsSpec, SplitDigitsSpec, TeacherStudentSpec
from ilr_check.data.sets import load, load_held_out
from ilr_check.nets.build import build
from ilr_check.nets.specs import MLPSpec
from ilr_check.train.fleet import Fleet, Runs

NET = MLPSpec(inputs=64, widths=(12,), classes=10)
DATA = SplitDigitsSpec(label_noise=0.5, held_out=1500)
COURSE = History(
    name="two phases",
    phases=(
        Stage(steps=9, lr=0.5, weight_decay=0.02),
        Stage(steps=40, lr=0.1, weight_decay=0.1),
    ),
    momentum=0.5,
)
AT = (0, 9, 49)


def made() -> FunctionRuns:
    return FunctionRuns(Lab(Context(seed=3, profile="quick"), 1), NET, DATA, probes=20, lanes=4)


@cache
def grown() -> dict[int, Functions]:
    """Six runs, taken as four and then two, over two chunks."""
    population = made().population(COURSE, AT, weights=True)
    population.at(9, 4)
    return {step: population.at(step, 6) for step in AT}


@pytest.mark.parametrize("step", AT)
def test_looks_extend_one_another(step: int) -> None:
    at_once = made().population(COURSE, AT).at(step, 6)
    assert np.array_equal(at_once.logits, grown()[step].logits)
    assert at_once.logits.shape == (6, 20, 10)
    assert at_once.weights == {}


@pytest.mark.parametrize("step", AT)
def test_a_look_shows_the_weights_of_a_training_that_ended_there(step: int) -> None:
    fleet = Fleet(NET, DATA, batch_size=32, lanes=2)
    lr, decay = COURSE.settings()
    seen: list[torch.Tensor] = []

    def train(steps: int, **watch: object) -> dict[str, torch.Tensor]:
        runs = Runs(
            seeds=[5, 6],
            lr=lr[:steps, None],
            weight_decay=decay[:steps, None],
            momentum=0.5,
            initial_norm=3.0,
        )
        return fleet.train(runs, steps, **watch).final  # type: ignore[arg-type]

    name = fleet.names[0]
    watched = train(49, observer=lambda at, chunk, w: seen.append(w[name].clone()), observed=(step,))
    assert torch.equal(watched[name], train(49)[name])
    shorter = (
        train(step)[name]
        if step
        else fleet._initial(Runs([5, 6], 1.0, 0.0, initial_norm=3.0), [5, 6], np.arange(2))[name]
    )
    assert torch.equal(seen[0], shorter)


@pytest.mark.parametrize("run", [0, 5])
def test_statistics_are_those_of_the_training_set(run: int) -> None:
    """By hand, in float64: a layer, the statistics of the trained-on rows alone, the head."""
    at = grown()[49]
    module = build(NET, dtype=torch.float64)
    (name,) = at.weights
    known, probes = load(DATA), load_held_out(DATA, 20)
    reads: list[torch.Tensor] = []
    norm = next(m for m in module.modules() if type(m).__name__ == "Norm")
    norm.register_forward_hook(lambda module, args, out: reads.append(args[0]))
    weights = {name: torch.from_numpy(at.weights[name][run]).double()}
    for x in (known.x, probes.x):
        functional_call(module, weights, (x,))
    before, asked = reads
    y = torch.relu((asked - before.mean(0)) / before.std(0, correction=0))
    head = module.get_buffer("head")
    expected = y @ head.T if head.shape[0] == 10 else y @ head
    ratio = (expected / torch.from_numpy(at.logits[run]).double()).detach()
    # The head has a scale of its own, 1/sqrt(fan in), which is the same for every logit.
    assert torch.allclose(ratio, ratio.mean(), rtol=1e-2)


def test_an_answer_does_not_depend_on_the_other_probes() -> None:
    runs = made()
    weights = {name: torch.from_numpy(w) for name, w in grown()[49].weights.items()}
    alone = Functions(*runs.functions_of(weights))
    runs.probes = load_held_out(DATA, 5, dtype=torch.float32)
    assert np.allclose(runs.functions_of(weights).logits, alone.logits[:, :5], atol=1e-4)


def test_one_init_seed_is_one_function_before_training() -> None:
    course = History(name="one start", phases=COURSE.phases, init_seed=7)
    population = made().population(course, (0, 49))
    assert np.ptp(population.at(0, 3).logits, axis=0).max() == 0
    assert np.ptp(population.at(49, 3).logits, axis=0).max() > 0


def test_probabilities_are_a_distribution_a_probe() -> None:
    found = grown()[49]
    sums = found.probabilities.reshape(6, 20, 10).sum(axis=2)
    assert np.allclose(sums, 1.0)
    assert np.array_equal(found.labels, found.probabilities.reshape(6, 20, 10).argmax(axis=2))


def test_learning_shows_in_what_was_not_trained_on() -> None:
    assert grown()[49].accuracy.mean() > grown()[0].accuracy.mean() + 0.2


def test_a_diverged_run_is_named() -> None:
    wild = History(name="wild", phases=(Stage(steps=60, lr=1e30, weight_decay=1e5),))
    with pytest.raises(RunDiverged, match=r"run 0 of the wild population.*lower lr"):
        made().population(wild, (60,)).at(60, 2)


def test_steps_outside_the_course_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at=\[50\].*0 to 49"):
        made().population(COURSE, (9, 50))


@pytest.mark.parametrize("phases", [(), (Stage(steps=0, lr=1.0, weight_decay=0.0),)])
def test_a_course_has_steps(phases: tuple[Stage, ...]) -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        History(name="none", phases=phases)


@pytest.mark.parametrize("spec", [DATA, TeacherStudentSpec(inputs=3, classes=4)], ids=["digits", "teacher"])
def test_what_is_held_out_is_not_trained_on(spec: SplitDigitsSpec | TeacherStudentSpec) -> None:
    held = load_held_out(spec, 30)
    assert len(held) == 30
    assert torch.cdist(held.x, load(spec).x).min() > 0
    assert len(held.y.unique()) > 1


def test_digits_that_are_all_trained_on_have_none() -> None:
    with pytest.raises(ValueError, match="SplitDigitsSpec"):
        load_held_out(DigitsSpec(), 3)
