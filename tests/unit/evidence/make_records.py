"""A record and a manifest to store."""

from typing import Any

from ilr_check.evidence import Manifest, Margin, Measured, Record, RivalOutcome


def record(name: str = "a.0", *, unit: str = "a", unit_size: int = 1, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "id": name,
        "claim": "norm-recursion",
        "kind": "exact",
        "form": "exact",
        "group": "layers.0.weight",
        "subject": {"net": {"kind": "mlp", "widths": [4, 4]}, "lr": 0.1},
        "verdict": "holds",
        "measured": Measured(value=0.25, low=0.2, high=0.3),
        "expected": 0.0,
        "margin": Margin(low=0.0, high=1.0),
        "detectable": 1.0,
        "false_fail": 0.0,
        "false_pass": 0.0,
        "rivals": (RivalOutcome(name="a instead of a^2", expected=1e9, excluded=True),),
        "n_runs": 60,
        "n_steps": 300,
        "seed": 0,
        "device": "cpu",
        "dtype": "float64",
        "seconds": 1.5,
        "message": "η λ ‖w‖ — line\nbreak",
        "replay": f"ilr-check replay run#{name}",
        "unit": unit,
        "unit_size": unit_size,
    }
    return Record(**(values | changes))


def manifest(**changes: Any) -> Manifest:
    return Manifest(**({"created": "2026-01-02T03:04:05+00:00", "settings": {"claims": "core"}} | changes))
