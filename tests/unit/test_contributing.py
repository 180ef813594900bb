"""The recipes of CONTRIBUTING.md, each as a file outside the package, and the verdicts that each must
give."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "CONTRIBUTING.md"
RECIPES = dict(
    re.findall(r"```python\n# (\w+)\.py: [^\n]*\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
)


def ran(folder: Path, recipe: str, code: str) -> list[object]:
    """Write a recipe as a module, run lines beside it in a process of its own, and return what they print."""
    (folder / f"{recipe}.py").write_text(RECIPES[recipe], encoding="utf-8")
    lines = f"import json, {recipe}\n{code}"
    done = subprocess.run([sys.executable, "-c", lines], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_there_are_four() -> None:
    assert list(RECIPES) == ["my_claim", "my_law", "my_contract", "my_data"]


def test_a_claim_holds_and_a_world_breaks_it(tmp_path: Path) -> None:
    plain, departed = ran(
        tmp_path,
        "my_claim",
        """
import ilr_check

class SquaredLr:
    def lr(self, lr, step):
        return lr**2

for world in (None, SquaredLr()):
    run = ilr_check.verify(claims="my-start-is-lr", device="cpu", world=world)
    print(json.dumps([[r.verdict, [x.excluded for x in r.rivals]] for r in run.records if r.counts]))
""",
    )
    assert plain == [["holds", [True]]] * len(plain)  # type: ignore[arg-type]
    assert "violated" in {verdict for verdict, _ in departed}  # type: ignore[attr-defined]


def test_a_law_passes_sgd_and_refuses_what_breaks_it(tmp_path: Path) -> None:
    good, bad = ran(
        tmp_path,
        "my_law",
        """
import torch, ilr_check

class Warming(torch.optim.SGD):
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["lr"] *= 1.1

for optimizer in (torch.optim.SGD, Warming):
    result = ilr_check.check_optimizer(optimizer, laws="my-keeps-its-lr", contract="sgd")
    print(json.dumps(sorted({f.verdict for f in result.findings if f.claim == "my-keeps-its-lr"})))
""",
    )
    assert (good, bad) == (["holds"], ["violated"])


def test_a_contract_passes_its_optimizer_and_names_the_mistake(tmp_path: Path) -> None:
    keeps, breaks = ran(
        tmp_path,
        "my_contract",
        """
import torch, ilr_check

class HalfSGD(torch.optim.Optimizer):
    half = 0.5

    def __init__(self, params, lr=1e-2, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(self.half * p.grad, alpha=-group["lr"])

class Whole(HalfSGD):
    half = 1.0

for optimizer in (HalfSGD, Whole):
    result = ilr_check.check_optimizer(optimizer, laws="textbook-step", contract="my-half-sgd")
    print(json.dumps([result.verdict, sorted({f.diagnosis for f in result.findings if f.diagnosis})]))
""",
    )
    assert keeps[0] == "holds"  # type: ignore[index]
    assert breaks[0] == "violated"  # type: ignore[index]
    assert any("the half is missing" in told for told in breaks[1])  # type: ignore[index]


def test_a_data_set_is_trained_on(tmp_path: Path) -> None:
    ((first, last),) = ran(
        tmp_path,
        "my_data",
        """
from ilr_check.nets import MLPSpec
from ilr_check.train.fleet import Fleet, Runs

net = MLPSpec(inputs=2, widths=(8,), classes=2)
fleet = Fleet(net, my_data.Moons(label_noise=0.1), batch_size=16, compile=False)
trace = fleet.train(Runs(seeds=[1, 2, 3, 4], lr=0.2, weight_decay=0.0), 200)
print(json.dumps([float(trace.loss[:20].mean()), float(trace.loss[-20:].mean())]))
""",
    )
    assert last < 0.8 * first  # type: ignore[operator]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_one_short_file(recipe: str) -> None:
    assert len(RECIPES[recipe].splitlines()) <= 100
