"""Reports of the gate made up for the reporters' tests: every verdict word, and hostile names."""

from __future__ import annotations

from typing import Any

from ilr_check.evidence import ClaimText, Finding, GateReport, Location, Margin, Measured

HOSTILE = (
    "</script><img src=http://example.invalid/x.png onerror=\"alert('hit')\"><b>{{ 7*7 }}|`a`*b*_c_[d](e)"
    "\x1b[31m\x00\x08\ud800\n::error::forged\n##[error]forged @someone https://example.invalid "
    "www.example.invalid &amp; ]]> %0A --> \u202e"
)
WORDS = ("holds", "violated", "inconclusive", "error", "skipped", "expected_failure", "unexpected_pass")
SNIPPET = "import torch\nw = torch.ones(3, requires_grad=True)\nw.grad = torch.zeros(3)\n```not the end```"


def law(name: str, **changes: Any) -> ClaimText:
    values: dict[str, Any] = {
        "id": name,
        "title": "Weight decay acts once a step",
        "statement": "With a zero gradient one step multiplies the weights by 1 - lr*wd.",
        "equation": "w' = (1 - lr*wd) w",
        "source": "Loshchilov and Hutter 2019, Algorithm 2",
        "kind": "exact",
        "chapter": "exact",
        "groups": ("exact",),
        "rivals": ("lr^2*wd",),
        "meaning": "Every training run with it is decayed by another amount than its settings say.",
    }
    return ClaimText(**(values | changes))


def finding(claim: str = "decay-alone", verdict: str = "violated", **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "id": f"{claim}.0",
        "claim": claim,
        "kind": "exact",
        "form": "exact",
        "group": "float64, foreach",
        "subject": {"lr": 0.1, "weight_decay": 0.01},
        "verdict": verdict,
        "measured": Measured(value=2.0, low=1.99, high=2.01),
        "expected": 1.0,
        "margin": Margin(low=0.99, high=1.01),
        "detectable": None,
        "false_fail": 0.0,
        "false_pass": 0.0,
        "rivals": (),
        "n_runs": 1,
        "n_steps": 3,
        "seed": 0,
        "device": "cpu",
        "dtype": "float64",
        "seconds": 0.25,
        "message": "decay per step was fitted over nine learning rates\nsecond line",
        "replay": "ilr-check gate my.py:MyAdamW --claims decay-alone",
        "unit": claim,
        "unit_size": 1,
        "quantity": "power of lr in the decay",
        "diagnosis": "" if verdict == "holds" else "weight decay per step is lr^2*wd, expected lr*wd",
        "snippet": SNIPPET if verdict == "violated" else "",
        "location": Location("my.py", 41, 60),
    }
    return Finding(**(values | changes))


def report(*findings: Finding, **changes: Any) -> GateReport:
    found = findings or tuple(finding(f"law-{word}".replace("_", "-"), word) for word in WORDS)
    values: dict[str, Any] = {
        "target": "my.py:MyAdamW",
        "contract": "adamw",
        "contract_note": "inferred, the next best family misses by 1e12",
        "verdict": "violated",
        "exit_code": 1,
        "findings": found,
        "fingerprint": {"decay": {"power of lr": 2.0, "power of weight_decay": 1.0}, "degree": 0.0},
        "laws": tuple(law(name) for name in dict.fromkeys(f.claim for f in found)),
        "notices": ("the baseline was saved to base.json",),
        "location": Location("my.py", 41, 60),
        "seconds": 12.5,
        "command": "ilr-check gate my.py:MyAdamW",
        "versions": {"ilr-check": "0.1.0", "torch": "2.13.0"},
    }
    return GateReport(**(values | changes))


def hostile() -> GateReport:
    """A report in which whatever comes from the target tries to break out."""
    found = finding(
        "decay-alone",
        group=HOSTILE,
        message=HOSTILE,
        diagnosis=HOSTILE,
        snippet=HOSTILE + "\n````",
        replay=HOSTILE,
        quantity=HOSTILE,
        subject={HOSTILE: HOSTILE},
        location=Location(HOSTILE, 3),
    )
    return report(
        found, target=HOSTILE, contract=HOSTILE, contract_note=HOSTILE, notices=(HOSTILE,), command=HOSTILE,
        fingerprint={HOSTILE: HOSTILE},
        laws=(law("decay-alone", title=HOSTILE, meaning=HOSTILE, statement=HOSTILE),),
    )  # fmt: skip
