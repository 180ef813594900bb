"""The optimizers that the fleet steps by itself, by name."""

from __future__ import annotations

from ilr_check.optim.adaptive import ADAPTIVE
from ilr_check.optim.muon import muon
from ilr_check.optim.rules import Rule, as_rule
from ilr_check.optim.sgd import RULES

MODELLED: dict[str, Rule] = {
    **{name: as_rule(rule) for name, rule in RULES.items()},
    **ADAPTIVE,
    muon.name: muon,
}
