"""A fleet of language models: each run is a plain PyTorch loop with torch's optimizer, and it learns."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ilr_check.data import BatchNoise, TeacherStudentSpec, TextSpec
from ilr_check.data.sets import load_held_out
from ilr_check.data.text import unigram_loss
from ilr_check.nets import MLPSpec, TransformerSpec, build, initial_parameters, mean_loss
from ilr_check.optim.composed import for_language_models
from ilr_check.optim.schedules import WarmUpCosine
from ilr_check.train.fleet import Fleet, Runs
from ilr_check.train.world import world_of

TEXT = TextSpec(context=6, limit=2**14, held_out=2**10)
NET = TransformerSpec(context=6, width=8, blocks=1, heads=2, kv_heads=1, mlp_width=12, placement="qk")
STEPS, BATCH, LR, DECAY, MAX_NORM = 6, 4, 0.01, 0.2, 0.7
FACTORS = WarmUpCosine(warm_up=2, floor=0.1).factors(STEPS)
SEEDS = (3, 4)


def fleet_of(**options) -> Fleet:
    settings = {"batch_size": BATCH, "dtype": torch.float64, "lanes": 2, "compile": False, **options}
    return Fleet(NET, TEXT, rule=for_language_models("adamw"), **settings)


def runs(**changes) -> Runs:
    schedule = LR * np.array(FACTORS)[:, None]
    values = {
        "seeds": SEEDS,
        "lr": schedule,
        "weight_decay": DECAY,
        "hyper": {"max_norm": MAX_NORM},
        **changes,
    }
    return Runs(**values)


def looped(fleet: Fleet, seed: int) -> tuple[dict[str, torch.Tensor], list[float], int]:
    """Return the weights and the losses of one run in a plain loop, and how often it clipped."""
    module = build(NET)
    module.load_state_dict(initial_parameters(NET, seed))
    named = dict(module.named_parameters())
    gains = [p for n, p in named.items() if n.endswith(".gain")]
    others = [p for n, p in named.items() if not n.endswith(".gain")]
    optimizer = torch.optim.AdamW(
        [{"params": gains, "weight_decay": 0.0}, {"params": others, "weight_decay": DECAY}], betas=(0.9, 0.95)
    )
    index, _ = fleet.batches.draw(fleet.batches.generators([seed]), 32)
    losses, clipped = [], 0
    for t in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LR * FACTORS[t]
        rows = fleet.dataset.x[index[t, 0]]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            module(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten().long()
        )
        loss.backward()
        clipped += float(torch.nn.utils.clip_grad_norm_(module.parameters(), MAX_NORM)) > MAX_NORM
        optimizer.step()
        losses.append(float(loss.detach()))
    return {n: p.detach() for n, p in named.items()}, losses, clipped


def test_a_run_of_a_fleet_is_a_plain_loop_with_adamw_clipping_and_a_schedule() -> None:
    fleet = fleet_of()
    trace = fleet.train(runs(), STEPS)
    for lane, seed in enumerate(SEEDS):
        weights, losses, clipped = looped(fleet, seed)
        assert clipped > 0  # else nothing would show whether it clips
        # vmap sums in another order, and Adam divides by gradients that are small at first.
        assert trace.loss[:, lane] == pytest.approx(losses, rel=1e-9)
        for name, w in weights.items():
            torch.testing.assert_close(trace.final[name][lane], w, rtol=1e-7, atol=1e-8)


def test_every_tensor_is_measured() -> None:
    trace = fleet_of().train(runs(), STEPS)
    assert trace.names == tuple(initial_parameters(NET, 0))
    start = initial_parameters(NET, SEEDS[0])
    assert trace.norm2[0, 0] == pytest.approx([float(w.square().sum()) for w in start.values()])
    assert (trace.turned2[:, :, :] > 0).all()


def test_a_loss_is_that_of_the_next_tokens_and_not_of_the_labels() -> None:
    fleet = fleet_of()
    weights = {n: w[None] for n, w in initial_parameters(NET, 0).items()}
    held_out = load_held_out(TEXT, 5)
    found = float(fleet.losses(weights, held_out.x, held_out.y)[0])
    module = build(NET)
    shares = module(held_out.x[:, :-1]).detach().log_softmax(-1)
    expected = [
        -float(shares[i, t, int(held_out.x[i, t + 1])]) for i in range(5) for t in range(TEXT.context)
    ]
    assert found == pytest.approx(np.mean(expected), rel=1e-12)
    assert mean_loss(module, held_out.x, held_out.y + 1).item() == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("rule", ["adamw", "lion", "heavy-ball", "muon"])
def test_every_optimizer_learns_more_than_frequencies(rule: str) -> None:
    lr = {"adamw": 0.01, "lion": 2e-3, "heavy-ball": 0.3, "muon": 0.02}[rule]
    hyper = {"ends.lr": 0.5, "gains.lr": 0.5} if rule == "muon" else {}
    fleet = Fleet(NET, TEXT, batch_size=16, rule=for_language_models(rule), lanes=2, compile=False)
    settings = Runs(seeds=SEEDS, lr=lr, weight_decay=0.01, momentum=0.9, hyper=hyper)
    final = fleet.train(settings, 250, record_every=250).final
    held_out = load_held_out(TEXT, 170, dtype=torch.float32)
    assert float(fleet.losses(final, held_out.x, held_out.y).max()) < unigram_loss(TEXT)


def test_named_tensors_start_larger() -> None:
    trace = fleet_of().train(runs(lr=LR, init_scale={"q.0.weight": np.array([1.0, 2.0])}), 1)
    before = {n: w.double() for n, w in initial_parameters(NET, SEEDS[1]).items()}
    expected = [float(w.square().sum()) * (4 if n == "q.0.weight" else 1) for n, w in before.items()]
    assert trace.norm2[0, 1] == pytest.approx(expected)


def test_the_snippet_of_the_page_trains(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "language-models.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(snippet, {})
    assert "tensor(" in capsys.readouterr().out


class Watching:
    """A world whose update is AdamW's own result, and which keeps what it was given."""

    replaces = ("adamw",)
    seen: dict[str, tuple[float, float]] = {}  # noqa: RUF012

    def update(self, name, weights, gradient, buffer, lr, weight_decay, momentum, step):
        self.seen[name] = float(lr.flatten()[0]), float(weight_decay.flatten()[0])
        return weights - lr * gradient, buffer


def test_a_world_is_given_the_lr_and_the_decay_of_each_tensor() -> None:
    hyper = {"max_norm": MAX_NORM, "ends.lr": 3.0}
    trace = fleet_of(world=world_of(Watching)).train(runs(lr=LR, hyper=hyper), 2)
    assert Watching.seen["last.gain"] == pytest.approx((LR, 0.0))
    assert Watching.seen["head.weight"] == pytest.approx((3 * LR, DECAY))
    assert Watching.seen["q.0.weight"] == pytest.approx((LR, DECAY))
    # SGD without decay, on the clipped gradient: the weights move by no more than lr times the limit.
    moved = (trace.next_norm2 + trace.norm2 - 2 * trace.inner)[0, 0]
    lrs = np.array([3 * LR if n.split(".")[0] in ("head", "embedding") else LR for n in trace.names])
    assert float((moved / lrs**2).sum()) == pytest.approx(MAX_NORM**2, rel=1e-4)


@pytest.mark.parametrize(
    ("net", "data", "noise", "words"),
    [
        (NET, TeacherStudentSpec(inputs=7, classes=3), None, "the net is a language model"),
        (MLPSpec(inputs=7, widths=(4,), classes=256), TEXT, None, "the data are tokens"),
        (NET, TextSpec(context=9), None, "make them equal"),
        (NET, TEXT, BatchNoise(shape="gaussian"), "does not have"),
    ],
)
def test_what_does_not_fit_together_is_refused(net, data, noise, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fleet(net, data, batch_size=2, noise=noise)
