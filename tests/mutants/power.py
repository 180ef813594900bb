"""What the statistical claims can see: each is judged in wrong worlds of several kinds and sizes.

    PYTHONPATH=tests/mutants python -m power --minutes 20

judges what docs/power.json lacks and writes docs/power.md. The cheapest unit of ``quick`` stands for a claim.
A training ends as soon as a premise of the claim has failed for good: then no law of the unit can hold.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from deciding import NotHeld, Undecided, decided_early
from power_page import render
from wrong_worlds import WORLDS, LateLR, OfRule, OnePath, SameBatch, Wrong, WrongDecay

from ilr_check.claims import statistical_laws
from ilr_check.claims.claim import Context, Finding, Judged
from ilr_check.planning import unit_seed
from ilr_check.train.world import World, world_of

DOCS = Path(__file__).parents[2] / "docs"
CACHE, PAGE = DOCS / "power.json", DOCS / "power.md"
SEED = 0


FIRST = (
    "the theory",
    "decay 20 % too strong",
    "gradient as r^-1.25",
    "1 % of the gradient along the weights",
    "decay after the step",
    "no decay in 3 % of the runs",
    "decay 10 % too strong",
    "decay doubled at every other step",
    "one path of batches for all runs",
)
"""The worlds that are judged before the others, in this order."""


class Row(NamedTuple):
    """The unit that stands for a claim, and the worlds that leave its statement true, with the reason.

    ``rule`` and ``hyper`` are the update rule that steps with the wrong decay, if it is not SGD's.
    """

    claim: str
    title: str
    true_in: tuple[tuple[str, str], ...] = ()
    rule: str = ""
    hyper: Mapping[str, float] = {}


SMALL = "it changes the recursion by lr * weight_decay of itself, which is less than the margin"
CONSTANT = "lr is constant here, or late once in a thousand steps"
FEW = (
    ("decay after the step", SMALL),
    ("decay doubled at every other step", SMALL),
    ("lr late by a step", CONSTANT),
)
CANCELS = "both trainings have it, so that their lambda_e are still equal"
WITHOUT = "this training has no weight decay"
MEASURED = "the size of the gradient is measured on other runs, which have the same power"
RATIO = "it acts before and after the drop alike, so that the ratio of the two stays"
BATCHES = "the claim speaks of batches and not of decay"
BOUND = "the claim is a bound on how far weights are from mixing, and decay does not make them mix"
TWICE = (
    "the growth is that of one batch before the first step, and the angle of equilibrium does not depend on "
    "how the noise of successive steps is correlated, because a gradient is orthogonal to its weights"
)
SIZE = "the rotation of equilibrium does not depend on the size of the gradient"


def named(part: str, reason: str) -> tuple[tuple[str, str], ...]:
    """Give a reason for all worlds whose name contains ``part``."""
    return tuple((wrong.name, reason) for wrong in WORLDS if wrong is not None and part in wrong.name)


def within(*per_cent: int) -> tuple[tuple[str, str], ...]:
    """Give the reason for decays whose effect in the closed form lies inside the margin of a claim."""
    return tuple((f"decay {size} % too strong", "its effect is inside the margin") for size in per_cent)


BETAS = {"beta1": 0.9, "beta2": 0.98, "eps": 1e-12}

LM = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8}

ROWS = (
    # The effect is log(1 + size) / 2 on an effective LR or an angle, log(1 + size) on a rate.
    Row("sqrt-recovery", "control: digits, noise of constant trace", FEW + within(2, 5)),
    Row("angular-update", "digits, label noise 0.5", FEW + within(2, 5) + named("r^", SIZE)),
    Row(
        "norm-offset",
        "digits, label noise 0.5",
        named("decay", CANCELS) + named("along", CANCELS) + named("lr late", CONSTANT),
    ),
    Row("relaxation-rate", "digits, label noise 0.5", FEW + within(2, 5) + named("r^", MEASURED)),
    Row("other-norms", "group", FEW + within(2, 5, 10) + named("r^", MEASURED)),
    Row(
        "drop-before-equilibrium",
        "digits, dropped after 1/lambda_e",
        FEW + within(2, 5) + named("r^", MEASURED),
    ),
    Row(
        "equilibrium-effective-lr", "digits, label noise 0.5", FEW + within(2, 5, 10) + named("r^", MEASURED)
    ),
    Row("no-decay-growth", "digits, label noise 0.5", named("decay", WITHOUT)),
    Row("larger-data", "MNIST-5k", FEW + within(2, 5, 10) + named("r^", MEASURED)),
    Row("adaptive-equilibrium", "control: digits, dominated by noise", (), "adamw", BETAS),
    Row("batch-size", "linear scaling, LayerNorm net"),
    Row("svag", "LayerNorm net"),
    Row(
        "noise-independence",
        "shuffled epochs",
        named("decay", BATCHES) + named("gradient", "the noise of different batches stays uncorrelated"),
    ),
    Row("deep-bn", "depth 24, without skips", named("lr late", CONSTANT) + named("used twice", TWICE)),
    Row("no-parameter-mixing", "digits, label noise 0.5, lambda_e 0.016", named("decay", BOUND)),
    Row("not-gaussian", "LayerNorm net, teacher and student"),
    Row("muon-equilibrium", "control: digits, a matrix of 24 by 64, dominated by noise", (), "muon"),
    Row("wd-threshold", "digits, label noise 1"),
    Row("lr-against-decay", "digits, label noise 0.5"),
    Row("schedule-law", "digits, warm-up and linear decay"),
    Row(
        "adaptive-recovery",
        "control: AdamW, dominated by noise",
        named("too strong", RATIO) + named("too weak", RATIO),
        "adamw",
        BETAS,
    ),
    Row("heavy-tails", "digits, Pareto noise of tail 4"),
    Row("full-recovery", "digits, label noise 0.5"),
    Row("gamma-ode", "digits, label noise 0.5"),
    Row("mixing-time", "generated net 1"),
    Row("intrinsic-parameter", "digits, label noise 0.5", named("decay", CANCELS)),
    Row("momentum-equilibrium", "digits, label noise 0.5"),
    Row("wd-drop", "digits, label noise 0.5"),
    Row("init-lr-forgotten", "digits, first LR"),
    Row("two-phases", "digits, noise and flow"),
    Row("after-the-drop", "297 digits"),
    Row("periodic-behaviour", "64 digits, logits of order 1"),
    Row("gd-is-not-gradient-flow", "64 digits, lr 0.1, lambda_e 0.01"),
    Row("equilibrium-forgets", "digits, lambda_e = 0.016"),
    Row("function-mixing-time", "digits, label noise 0.5"),
    Row(
        "lm-balance",
        "OLMo-2, Muon",
        FEW + within(2) + named("r^", MEASURED) + named("along", MEASURED),
        "muon",
    ),
    Row("lm-norm-relaxation", "OLMo-2, Muon", FEW + within(2, 5, 10), "muon"),
    Row("lm-equilibrium", "OLMo-2, Muon", FEW + within(2, 5, 10, 20), "muon"),
    Row("lm-time-scale", "OLMo-2, AdamW", named("decay", CANCELS) + named("lr late", CONSTANT), "adamw", LM),
    Row("lm-drop", "OLMo-2, Muon", FEW + within(2, 5, 10, 20), "muon"),
    Row("lm-tail", "OLMo-2, Muon", FEW + within(2, 5, 10, 20), "muon"),
    Row("lm-no-decay", "OLMo-2, Muon", FEW + within(2, 5, 10, 20), "muon"),
    Row("lm-attention", "Qwen3, AdamW", named("decay", CANCELS) + named("lr late", CONSTANT), "adamw", LM),
)


def judge(row: Row, wrong: Wrong | None) -> dict[str, Any]:
    """Judge one unit in one world; returns the worst decision of its laws. All is trained."""
    law, spec = next(
        (law, spec)
        for law in statistical_laws()[row.claim]
        for spec in law.experiments("quick", SEED)
        if spec.title == row.title
    )
    unit = next(unit for unit in law.plan("quick", SEED) if unit.title == f"{row.claim}: {spec.title}")
    of_rule = row.rule and isinstance(wrong, WrongDecay)
    planted = OfRule(wrong, row.rule, row.hyper) if of_rule else wrong
    world: World | None = None if planted is None else world_of(planted)
    context = Context(seed=unit_seed(unit, SEED), profile="quick", world=world)
    started = time.process_time()
    try:
        judged: Judged = law.judge(unit.subject, context)
    except (NotHeld, Undecided):
        raise
    except Exception as error:
        return {
            "verdict": "error",
            "says": f"{type(error).__name__}: {error}"[:200],
            "seconds": _since(started),
        }
    laws = [f for f in judged.findings if f.counts and f.form in ("transfer", "prediction")]
    if all(f.verdict == "skipped" for f in laws):
        return {"verdict": "skipped", "seconds": _since(started)}
    worst = min(laws, key=_rank)
    algebra = [f.verdict for f in judged.findings if f.form in ("identity", "exact")]
    margin = worst.margin
    return {
        "verdict": worst.verdict,
        "held": sum(f.verdict == "holds" for f in laws),
        "value": worst.measured.value,
        "low": worst.measured.low,
        "high": worst.measured.high,
        "margin": [margin.low, margin.high],
        "runs": worst.n_runs,
        "algebra": "violated" if "violated" in algebra else "holds" if algebra else "",
        "premises": [p.name for p in worst.premises if not p.met],
        "seconds": _since(started),
    }


def _rank(finding: Finding) -> tuple[int, float]:
    """The worst verdict first, then the estimate that is farthest out in its margin."""
    order = ("violated", "error", "inconclusive", "holds", "skipped").index(finding.verdict)
    value, low, high = finding.measured.value, finding.margin.low, finding.margin.high
    if value is None or low is None or high is None:
        return order, 0.0
    return order, -abs(value - 0.5 * (low + high)) / (high - low)


def _since(started: float) -> float:
    return round(time.process_time() - started, 1)


def title(wrong: Wrong | None) -> str:
    return "the theory" if wrong is None else wrong.name


def load() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(CACHE.read_text() or "{}") if CACHE.exists() else {}
    return found


def forget(verdict: str) -> None:
    """Take the cells of wrong worlds with this verdict out of the cache."""
    with CACHE.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = {
            claim: {name: f for name, f in own.items() if f["verdict"] != verdict or name == title(None)}
            for claim, own in load().items()
        }
        CACHE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


EARLY = 256
"""The steps within which a first look at a cell must decide, without compiling anything."""


def decide(row: Row, wrong: Wrong | None, most: int) -> dict[str, Any] | None:
    """Judge one unit until a premise fails for good; ``None`` where none does within ``most`` steps.

    With 0 steps all is trained unless a premise fails.
    """
    if wrong is None:
        return None if most else judge(row, wrong)
    started = time.process_time()
    try:
        with decided_early(most):
            return judge(row, wrong)
    except Undecided:
        return None
    except NotHeld as found:
        return {
            "verdict": "not held",
            "premises": [found.premise],
            "step": found.step,
            "seconds": _since(started),
        }


def fill(minutes: float, only: str = "") -> None:
    """Judge what the page lacks until the CPU time is spent: the cheap claims and the first worlds first.

    At first each cell is trained for a few steps, which decide many; a late lr and wrong batches do not show
    so soon. Several processes may fill the page at once if they have different claims (``only``).
    """
    budget = 60.0 * minutes
    looks = [cell for cell in missing(only) if not isinstance(cell[1], LateLR | SameBatch | OnePath)]
    looks.sort(key=lambda cell: ROWS.index(cell[0]))
    for most, cells in ((EARLY, looks), (0, None)):
        for row, wrong in missing(only) if cells is None else cells:
            if time.process_time() > budget:
                return
            found = decide(row, wrong, most)
            if found is not None:
                keep(row, wrong, found)
                print(row.claim, title(wrong), found, flush=True)


def missing(only: str) -> list[tuple[Row, Wrong | None]]:
    """Return the cells that were not judged, in the order of their cost times the place of their world."""
    cache = load()
    order = {name: place for place, name in enumerate(FIRST)}

    def cost(cell: tuple[Row, Wrong | None]) -> float:
        seconds = [found["seconds"] for found in cache.get(cell[0].claim, {}).values()]
        return max(seconds, default=60.0) * (1 + order.get(title(cell[1]), len(order)))

    cells = [
        (row, wrong)
        for row in ROWS
        for wrong in WORLDS
        if title(wrong) not in cache.get(row.claim, {}) and (not only or row.claim in only.split(","))
    ]
    return sorted(cells, key=cost)


def keep(row: Row, wrong: Wrong | None, found: dict[str, Any]) -> None:
    """Write one cell; cells that other processes wrote in the meantime stay."""
    with CACHE.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache = load()
        cache.setdefault(row.claim, {})[title(wrong)] = found
        CACHE.write_text(json.dumps(cache, indent=1, sort_keys=True) + "\n")


def page() -> str:
    """Return the page for what the cache has."""
    return render(load(), ROWS, [title(wrong) for wrong in WORLDS], SEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="CPU minutes to spend")
    parser.add_argument("--claims", default="", help="only these claims")
    parser.add_argument("--again", default="", help="judge wrong worlds with this verdict again")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.again:
        forget(asked.again)
    fill(asked.minutes, asked.claims)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
