"""Made-up verdicts: those of a run in which everything holds, and those of a run with every possible
error."""

from __future__ import annotations

from typing import Any

from ilr_check.evidence import Margin, Measured, Record, RivalOutcome

HOSTILE = "</script><img src=http://example.invalid/x.png onerror=\"alert('hit')\"><b>{{ 7*7 }}"
"""A name that tries to break out of HTML, of a script and of a template."""

SUBJECT = {
    "net": {"family": "mlp", "norm": "bn", "depth": 3, "width": 32, "eps": 0.0, "activation": "relu"},
    "data": {"name": "digits", "labels": "true"},
    "hyper": {"lr": 0.8, "weight_decay": 0.0025, "batch": 64},
}


def record(id: str, claim: str, verdict: str, **changes: Any) -> Record:
    """A record with plausible defaults; ``changes`` are its fields."""
    exact = claim in ("gradient-orthogonality", "norm-recursion", "lr-wd-equivalence")
    form = "exact" if exact else "transfer"
    fields: dict[str, Any] = {
        "id": id,
        "claim": claim,
        "kind": "exact" if exact else "statistical",
        "form": form,
        "group": "generated nets" if exact else "digits, mlp-bn",
        "subject": SUBJECT,
        "verdict": verdict,
        "measured": Measured(0.021),
        "expected": 0.0,
        "margin": Margin(None, 1.0),
        "detectable": None if exact else 0.021,
        "false_fail": 0.0 if exact else 6.25e-5,
        "false_pass": 0.0 if exact else 1e-2,
        "rivals": (),
        "n_runs": 200 if exact else 32,
        "n_steps": 4 if exact else 4000,
        "seed": 0,
        "device": "cpu",
        "dtype": "float64" if exact else "float32",
        "seconds": 3.2,
        "message": "",
        "replay": f"ilr-check replay reports/runs/0#{id}",
        "unit": f"unit-{id}",
        "unit_size": 1,
        "quantity": "largest residual over its rounding bound" if exact else "effective LR after over before",
    }
    return Record(**(fields | changes))


def healthy_records() -> list[Record]:
    """Return the records of a run in which everything holds."""
    events = {"norm: bn": 88, "norm: gn": 41, "norm: ln": 52, "norm: in": 19, "batch of 2 (degenerate)": 9}
    drop = (
        RivalOutcome("1/10", 0.1, True),
        RivalOutcome("1", 1.0, True),
        RivalOutcome("10^(−1/3)", 0.464, True),
    )
    slope = (RivalOutcome("slope −1/2", -0.5, True), RivalOutcome("slope −2", -2.0, True))
    return [
        record("orth-gen", "gradient-orthogonality", "holds", events=events, figure="residuals"),
        record(
            "orth-digits", "gradient-orthogonality", "holds", group="digits, mlp-bn", n_runs=8, n_steps=400
        ),
        record(
            "norm-gen",
            "norm-recursion",
            "holds",
            events=events,
            measured=Measured(0.34),
            figure="norm-dynamics",
        ),
        record(
            "equiv-gen",
            "lr-wd-equivalence",
            "holds",
            events={"plain": 70, "momentum": 66, "nesterov": 64},
            measured=Measured(0.0),
            margin=Margin(0.0, 0.0),
            quantity="elements that differ bitwise",
        ),
        record(
            "sqrt-transfer",
            "sqrt-recovery",
            "holds",
            measured=Measured(0.3184, 0.3121, 0.3249),
            expected=0.3171,
            margin=Margin(0.3030, 0.3319),
            rivals=drop,
            figure="recovery",
        ),
        record(
            "sqrt-identity",
            "sqrt-recovery",
            "holds",
            form="identity",
            measured=Measured(0.3176, 0.3168, 0.3185),
            expected=0.3177,
            margin=Margin(0.3141, 0.3213),
            rivals=drop,
            figure="recovery",
        ),
        record(
            "sqrt-raw",
            "sqrt-recovery",
            "skipped",
            form="raw",
            counts=False,
            measured=Measured(0.3184, 0.3121, 0.3249),
            expected=0.31623,
            margin=Margin(0.3131, 0.3194),
            message="The noise grew by 1.6 % after the drop, which explains a deviation of 0.8 %.",
        ),
        record(
            "mixing-slope",
            "mixing-time",
            "holds",
            quantity="slope of log T against log(lr · wd)",
            measured=Measured(-1.004, -1.031, -0.977),
            expected=-1.0,
            margin=Margin(-1.06, -0.94),
            detectable=0.11,
            rivals=slope,
            figure="mixing",
        ),
    ]


def hostile_records() -> list[Record]:
    """Return records with all other verdict words, hostile names, and NaN in place of numbers."""
    undecided = (RivalOutcome("1/10", 0.1, True), RivalOutcome("10^(−1/3)", 0.464, False))
    return [
        record(
            "norm-wd-twice",
            "norm-recursion",
            "violated",
            group="planted: weight decay twice",
            measured=Measured(8.1e6),
            message="Step 3 of run 5: ‖w′‖² is 0.9960 of what the recursion gives; weight decay acts twice.",
            events={"momentum": 120, "lr of zero": 4},
        ),
        record(
            "sqrt-resnet",
            "sqrt-recovery",
            "inconclusive",
            group="digits, resnet-gn",
            measured=Measured(0.329, 0.301, 0.357),
            expected=0.3168,
            margin=Margin(0.3030, 0.3319),
            rivals=undecided,
            message="The interval straddles the margin after three looks and 96 runs.",
            n_runs=96,
        ),
        record(
            "mixing-diverged",
            "mixing-time",
            "error",
            group="digits, mlp-ln",
            measured=Measured(None, None, None),
            expected=None,
            margin=Margin(),
            detectable=None,
            message="Run 3 of 8 became NaN at step 1204.\nlr 6.4 is above what this net stands.",
        ),
        record(
            "mixing-skip",
            "mixing-time",
            "skipped",
            group="gpu",
            measured=Measured(None),
            message="no GPU here",
        ),
        record(
            "equiv-expected",
            "lr-wd-equivalence",
            "expected_failure",
            group="Adam",
            measured=Measured(0.9, 0, 9),
        ),
        record("equiv-pass", "lr-wd-equivalence", "unexpected_pass", group="Lion"),
        record(
            f"hostile {HOSTILE}",
            "gradient-orthogonality",
            "violated",
            group=HOSTILE,
            quantity=HOSTILE,
            message=HOSTILE,
            replay=HOSTILE,
            measured=Measured(float("inf"), float("nan"), 3.0),
            subject={HOSTILE: [HOSTILE, None, float("nan")]},
            events={HOSTILE: 3},
            rivals=(RivalOutcome(HOSTILE, None, False),),
            figure="hostile",
        ),
        record(
            "unknown-claim", f"claim-the-manifest-lacks {HOSTILE}", "holds", measured=Measured(0.5, 0.1, 0.9)
        ),
    ]
