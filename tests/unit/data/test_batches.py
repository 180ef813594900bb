"""Batch streams: each run has its own, which its seed decides. Draws are uniform, and label noise has its
stated rate."""

import math

import pytest
import torch

from ilr_check.data.batches import Batches

EXAMPLES, CLASSES, STEPS = 50, 5, 2000


def batches(label_noise: float = 0.0) -> Batches:
    return Batches(examples=EXAMPLES, classes=CLASSES, batch_size=16, label_noise=label_noise, device="cpu")


def test_a_runs_batches_do_not_depend_on_the_other_runs() -> None:
    source = batches(0.3)
    alone, own = source.draw(source.generators([7]), 20)
    beside, labels = source.draw(source.generators([1, 7, 3]), 20)
    assert torch.equal(beside[:, 1], alone[:, 0])
    assert torch.equal(labels[:, 1], own[:, 0])


def test_equal_seeds_give_equal_batches_and_unequal_ones_do_not() -> None:
    source = batches()
    index, _ = source.draw(source.generators([7, 7, 8]), 20)
    assert torch.equal(index[:, 0], index[:, 1])
    assert not torch.equal(index[:, 0], index[:, 2])


def test_two_runs_meet_as_often_as_chance_has_it() -> None:
    source = batches()
    index, _ = source.draw(source.generators([1, 2]), STEPS)
    trials = STEPS * 16
    meetings = int((index[:, 0] == index[:, 1]).sum())
    expected = trials / EXAMPLES
    # Binomial; six standard deviations. Neighbouring seeds of a poor generator would correlate.
    assert abs(meetings - expected) < 6 * math.sqrt(expected * (1 - 1 / EXAMPLES))


def test_every_example_is_drawn_alike() -> None:
    source = batches()
    index, _ = source.draw(source.generators([3]), STEPS)
    counts = torch.bincount(index.flatten(), minlength=EXAMPLES).double()
    expected = STEPS * 16 / EXAMPLES
    assert counts.shape == (EXAMPLES,)
    # chi^2 with 49 degrees of freedom exceeds 49 + 6 sqrt(98) with probability below 1e-5.
    assert float(((counts - expected) ** 2 / expected).sum()) < (EXAMPLES - 1) + 6 * math.sqrt(
        2 * (EXAMPLES - 1)
    )


def test_label_noise_draws_labels_as_often_as_asked_and_uniformly() -> None:
    source = batches(0.25)
    _, label = source.draw(source.generators([11]), STEPS)
    label_noise = label[label >= 0]
    trials = label.numel()
    assert abs(label_noise.numel() - 0.25 * trials) < 6 * math.sqrt(trials * 0.25 * 0.75)
    shares = torch.bincount(label_noise, minlength=CLASSES).double() / label_noise.numel()
    assert shares.shape == (CLASSES,)
    assert float((shares - 1 / CLASSES).abs().max()) < 6 * math.sqrt(0.2 * 0.8 / label_noise.numel())


def test_without_redrawing_every_label_is_kept() -> None:
    source = batches()
    _, label = source.draw(source.generators([11, 12]), 10)
    assert bool((label == -1).all())


def test_always_redrawing_keeps_none() -> None:
    source = batches(1.0)
    _, label = source.draw(source.generators([11, 12]), 10)
    assert bool((label >= 0).all())


def epochs(batch_size: int = 16) -> Batches:
    return Batches(
        examples=EXAMPLES, classes=CLASSES, batch_size=batch_size, label_noise=0.0, device="cpu", epochs=True
    )


def test_an_epoch_has_no_example_twice_and_drops_what_fills_no_batch() -> None:
    source = epochs()
    index, _ = source.draw(source.generators([7]), 3 * 4)
    by_epoch = index[:, 0].reshape(4, 3 * 16)
    assert [len(set(epoch.tolist())) for epoch in by_epoch] == [48] * 4
    left_out = [set(range(EXAMPLES)) - set(epoch.tolist()) for epoch in by_epoch]
    assert len({frozenset(left) for left in left_out}) > 1


def test_epochs_go_on_where_a_block_was_cut_off() -> None:
    source = epochs()
    whole, _ = source.draw(source.generators([7, 8]), 10)
    orders = source.generators([7, 8])
    blocks = torch.cat([source.draw(orders, steps)[0] for steps in (2, 7, 1)])
    assert torch.equal(blocks, whole)
    assert not torch.equal(whole[:, 0], whole[:, 1])


def test_over_epochs_every_place_of_a_batch_sees_every_example_alike() -> None:
    source = epochs()
    index, _ = source.draw(source.generators([3]), 3 * STEPS)
    counts = torch.bincount(index[::3, 0, 0], minlength=EXAMPLES).double()
    expected = STEPS / EXAMPLES
    assert float(((counts - expected) ** 2 / expected).sum()) < (EXAMPLES - 1) + 6 * math.sqrt(
        2 * (EXAMPLES - 1)
    )


def test_an_epoch_shorter_than_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the 50 examples"):
        epochs(64)


def test_no_global_random_state_is_touched() -> None:
    before = torch.random.get_rng_state()
    source = batches(0.5)
    source.draw(source.generators([1]), 5)
    assert torch.equal(torch.random.get_rng_state(), before)
